"""Judges: which of two answers is better, as a strategy."""

from qstar_pl.evaluation.judges.asking import ask as ask
from qstar_pl.evaluation.judges.asking import check_knows as check_knows
from qstar_pl.evaluation.judges.comparison import Comparison as Comparison
from qstar_pl.evaluation.judges.final_answer import FinalAnswerJudge as FinalAnswerJudge
from qstar_pl.evaluation.judges.gold import GoldJudge as GoldJudge
from qstar_pl.evaluation.judges.judge import Judge as Judge
from qstar_pl.evaluation.judges.judge import Progress as Progress
from qstar_pl.evaluation.judges.length import LengthJudge as LengthJudge
from qstar_pl.evaluation.judges.llm import LLMJudge as LLMJudge
from qstar_pl.evaluation.judges.program_tests import TestsJudge as TestsJudge
from qstar_pl.evaluation.judges.reward_model import RewardModelJudge as RewardModelJudge
from qstar_pl.evaluation.judges.verdict import Verdict as Verdict
