"""Datasets, read through adapters, as batches."""

from typing import TYPE_CHECKING as TYPE_CHECKING

from qstar_pl.on_demand import on_demand as on_demand

from .adapters.adapter import Adapter as Adapter
from .adapters.adapter import RowSource as RowSource
from .adapters.apps import APPS as APPS
from .adapters.arena import Arena as Arena
from .adapters.auto import Auto as Auto
from .adapters.deepscaler import DeepScaleR as DeepScaleR
from .adapters.gsm8k import GSM8K as GSM8K
from .adapters.helpsteer import HelpSteer as HelpSteer
from .adapters.helpsteer import HelpSteerPreference as HelpSteerPreference
from .adapters.hh_rlhf import HHRLHF as HHRLHF
from .adapters.humaneval import HumanEval as HumanEval
from .adapters.implicit_prompt import ImplicitPrompt as ImplicitPrompt
from .adapters.messages import Messages as Messages
from .adapters.mixture import Mixture as Mixture
from .adapters.mixture import Part as Part
from .adapters.multiple_choice import MultipleChoice as MultipleChoice
from .adapters.natural_questions import NaturalQuestions as NaturalQuestions
from .adapters.pku_safe_rlhf import PKUSafeRLHF as PKUSafeRLHF
from .adapters.prompt_response import PromptResponse as PromptResponse
from .adapters.ranking import Nectar as Nectar
from .adapters.ranking import UltraFeedback as UltraFeedback
from .adapters.red_team import RedTeam as RedTeam
from .adapters.shp import SHP as SHP
from .adapters.single_turn import single_turn as single_turn
from .adapters.squad import SQuAD as SQuAD
from .adapters.tiny_world import TinyWorld as TinyWorld
from .adapters.tldr import TLDR as TLDR
from .adapters.webgpt import WebGPT as WebGPT
from .adapters.wmt import WMT as WMT
from .reading.rejected import RowError as RowError
from .reading.rejected import RowRejected as RowRejected
from .selection.filters import DuplicatePrompts as DuplicatePrompts
from .selection.filters import RowFilter as RowFilter
from .selection.length_filter import LengthFilter as LengthFilter
from .selection.range_filter import RangeFilter as RangeFilter
from .selection.reward_margin_filter import RewardMarginFilter as RewardMarginFilter
from .text.rendering import ChatRendering as ChatRendering
from .text.rendering import DialogueRendering as DialogueRendering
from .text.rendering import PlainRendering as PlainRendering
from .text.rendering import Rendering as Rendering
from .text.rendering import TokenizerRendering as TokenizerRendering

if TYPE_CHECKING:
    from .public import *  # noqa: F403
else:
    __getattr__, __dir__ = on_demand(__name__, __file__)
