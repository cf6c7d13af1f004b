"""Where the answers come from that are evaluated, and those that they are compared with."""

from qstar_pl.evaluating.sources.data import DataAnswers as DataAnswers
from qstar_pl.evaluating.sources.file import AnswersFile as AnswersFile
from qstar_pl.evaluating.sources.model import ModelAnswers as ModelAnswers
from qstar_pl.evaluating.sources.source import Answered as Answered
from qstar_pl.evaluating.sources.source import Answering as Answering
from qstar_pl.evaluating.sources.source import AnswerSource as AnswerSource
from qstar_pl.evaluating.sources.words import source_of as source_of
