"""What `qstar_pl.rollout` gives; it needs torch, which readers of what was recorded do without."""

from qstar_pl.models import DecodeSession as DecodeSession
from qstar_pl.models import LanguageModel as LanguageModel
from qstar_pl.models import NextToken as NextToken
from qstar_pl.rollout.engine import decode as decode
from qstar_pl.rollout.law import POLICY as POLICY
from qstar_pl.rollout.law import TARGET as TARGET
from qstar_pl.rollout.law import Alone as Alone
from qstar_pl.rollout.law import Geometric as Geometric
from qstar_pl.rollout.law import Law as Law
from qstar_pl.rollout.law import Mixed as Mixed
from qstar_pl.rollout.truncation import Truncation as Truncation
