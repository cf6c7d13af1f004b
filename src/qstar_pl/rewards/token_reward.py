"""A reward that is a sum over the answer's tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from qstar_pl.checks import at_least
from qstar_pl.models.freeze import freeze
from qstar_pl.models.pretrained import Pretrained
from qstar_pl.models.reward_parametrisation import Autoregressive, TokenwiseReward
from qstar_pl.models.shared import check_vocabulary
from qstar_pl.models.source import ModelSource
from qstar_pl.models.token_reward_model import TokenRewardModel
from qstar_pl.rewards.chunks import score_in_chunks
from qstar_pl.rewards.reward import Reward
from qstar_pl.types import Rollout


class TokenReward(Reward):
    """r(x, y) = scale · Σ_t f(y_t|x, y_<t) of a frozen causal language model, as `RewardModeling` trains one.

    With the same model `RewardTilted` is the π_t that this reward defines, token by token.
    """

    scorer: TokenRewardModel

    def __init__(
        self,
        model: ModelSource = Pretrained("tiny/expert"),
        parametrisation: TokenwiseReward = Autoregressive(),
        rows_per_chunk: int = 64,
    ) -> None:
        """Describe the reward; nothing is loaded yet.

        Args:
            model: a causal language model with the policy's vocabulary; of a run of `RewardModeling`, FromCheckpoint.
            parametrisation: what it was trained as: Autoregressive or TokenRewards, and the scale.
            rows_per_chunk: answers scored in one forward pass, at least 1.

        """
        super().__init__()
        at_least(1, rows_per_chunk=rows_per_chunk)
        self.model = model
        self.parametrisation = parametrisation
        self.rows_per_chunk = rows_per_chunk

    def build(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """See `Reward.build`."""
        check_vocabulary(self.model, tokenizer, "reward.model")
        self.scorer = freeze(self.parametrisation.build(self.model))

    @torch.no_grad()
    def score(self, rollout: Rollout, completions: Sequence[str]) -> Tensor:
        """See `Reward.score`."""
        return score_in_chunks(self.scorer, rollout, self.rows_per_chunk).float()
