"""A language model as the judge: requests, limits, costs, a cache, templates, and how replies are read."""

from qstar_pl.evaluation.judges.llm.budget import Budget as Budget
from qstar_pl.evaluation.judges.llm.limits import Limits as Limits
from qstar_pl.evaluation.judges.llm.llm_judge import LLMJudge as LLMJudge
