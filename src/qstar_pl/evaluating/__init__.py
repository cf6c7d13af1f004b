"""What `qstar evaluate` does: answers from anywhere, scored, judged, and reported with intervals."""

from qstar_pl.evaluating.run import evaluate as evaluate
from qstar_pl.evaluating.settings import EvaluationSettings as EvaluationSettings
from qstar_pl.evaluating.sources import AnswersFile as AnswersFile
from qstar_pl.evaluating.sources import AnswerSource as AnswerSource
from qstar_pl.evaluating.sources import DataAnswers as DataAnswers
from qstar_pl.evaluating.sources import ModelAnswers as ModelAnswers
