"""Drafters: who proposes tokens to a speculative sampler."""

from qstar_pl.samplers.drafters.alternating import Alternating as Alternating
from qstar_pl.samplers.drafters.drafter import Drafter as Drafter
from qstar_pl.samplers.drafters.hybrid import Hybrid as Hybrid
from qstar_pl.samplers.drafters.model import ModelDrafter as ModelDrafter
from qstar_pl.samplers.drafters.prompt_lookup import PromptLookup as PromptLookup
from qstar_pl.samplers.drafters.role import PolicyDrafter as PolicyDrafter
from qstar_pl.samplers.drafters.role import TargetDrafter as TargetDrafter
