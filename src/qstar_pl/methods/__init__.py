"""The methods, one LightningModule per file."""

from qstar_pl.methods.bases.rlhf_module import RLHFModule as RLHFModule
from qstar_pl.methods.dpo import DPO as DPO
from qstar_pl.methods.entropy_alpha import EntropyAlphaRL as EntropyAlphaRL
from qstar_pl.methods.ledpo import LEDPO as LEDPO
from qstar_pl.methods.off_policy import OffPolicy as OffPolicy
from qstar_pl.methods.ppo import PPO as PPO
from qstar_pl.methods.q_star import QStar as QStar
from qstar_pl.methods.rejection_sampling import RejectionSampling as RejectionSampling
from qstar_pl.methods.reward_modeling import RewardModeling as RewardModeling
from qstar_pl.methods.sft import SFT as SFT
from qstar_pl.methods.sft_on_samples import SFTOnSamples as SFTOnSamples
from qstar_pl.methods.uniform_alpha import UniformAlpha as UniformAlpha
