"""From prompts to answers: next-token distributions, the decode engine and log-probabilities of given answers."""

from qstar_pl.rollout.engine import decode as decode
from qstar_pl.rollout.language_model import LanguageModel as LanguageModel
from qstar_pl.rollout.law import Alone as Alone
from qstar_pl.rollout.law import Geometric as Geometric
from qstar_pl.rollout.law import Law as Law
from qstar_pl.rollout.logprobs import completion_logprobs as completion_logprobs
from qstar_pl.rollout.logprobs import completion_logprobs_and_entropy as completion_logprobs_and_entropy
from qstar_pl.rollout.next_token import DecodeSession as DecodeSession
from qstar_pl.rollout.next_token import NextToken as NextToken
from qstar_pl.rollout.truncation import Truncation as Truncation
