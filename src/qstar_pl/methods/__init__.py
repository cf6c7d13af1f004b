"""The methods, one LightningModule per file."""

from qstar_pl.methods.base import RLHFModule as RLHFModule
from qstar_pl.methods.dpo import DPO as DPO
from qstar_pl.methods.q_star import QStar as QStar
from qstar_pl.methods.reward_modeling import RewardModeling as RewardModeling
from qstar_pl.methods.sft import SFT as SFT
