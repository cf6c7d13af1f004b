"""What `qstar_pl.models` gives beside what a tokenizer alone can be asked; it needs torch."""

from qstar_pl.models.capabilities import Capabilities as Capabilities
from qstar_pl.models.from_checkpoint import FromCheckpoint as FromCheckpoint
from qstar_pl.models.from_config import FromConfig as FromConfig
from qstar_pl.models.language_model import LanguageModel as LanguageModel
from qstar_pl.models.lora import LoRA as LoRA
from qstar_pl.models.next_token import DecodeSession as DecodeSession
from qstar_pl.models.next_token import NextToken as NextToken
from qstar_pl.models.policy_base import PolicyBase as PolicyBase
from qstar_pl.models.pretrained import Pretrained as Pretrained
from qstar_pl.models.reference import AdapterOff as AdapterOff
from qstar_pl.models.reference import OwnCopy as OwnCopy
from qstar_pl.models.reference import Reference as Reference
from qstar_pl.models.reward_model import RewardModel as RewardModel
from qstar_pl.models.source import ModelSource as ModelSource
from qstar_pl.models.value_head import ValueHead as ValueHead
