"""What `qstar evaluate` does: answers from anywhere, scored, judged, and reported with intervals."""

from qstar_pl.evaluating.sources import AnswersFile as AnswersFile
from qstar_pl.evaluating.sources import AnswerSource as AnswerSource
from qstar_pl.evaluating.sources import DataAnswers as DataAnswers
from qstar_pl.evaluating.sources import ModelAnswers as ModelAnswers
