"""Rewards of the command line, ready to score texts."""

from __future__ import annotations

from typing import Any

from qstar_pl.data.text.rendering import Rendering
from qstar_pl.evaluation.text_rewards import TextRewards
from qstar_pl.models.source import ModelSource
from qstar_pl.rewards.reward import Reward


def scorer(reward: Reward, tokenizer: Any, rendering: Rendering) -> TextRewards:
    """Return a reward that is loaded; it reads texts in the tokens of its own model, else of the policy.

    Args:
        reward: not built yet.
        tokenizer: the policy's; None where answers are texts of a file, for which rewards without a model suffice.
        rendering: how dialogues become text.

    """
    found = (getattr(module, "model", None) for module in reward.modules())
    source = next((one for one in found if isinstance(one, ModelSource)), None)
    own = tokenizer if source is None else source.tokenizer()
    reward.build(own)
    limit = None if source is None else source.capabilities().context.limit
    return TextRewards(reward, own, rendering, limit)
