"""π_t over a set of scored answers."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.models.text import continuation_texts
from qstar_pl.qstar.candidate_laws import BestOfN, CandidateLaw
from qstar_pl.rewards import Reward, RewardModelReward
from qstar_pl.targets.target import Target
from qstar_pl.types import Rollout


class CandidateTarget(Target):
    """Best-of-n or the high-reward conditional, over the answers that a `CandidateSetSampler` has drawn.

    Such a π_t says nothing about the next token: only samplers that draw whole answers can ask it.
    """

    def __init__(
        self,
        law: CandidateLaw = BestOfN(),
        reward: Reward = RewardModelReward(),
    ) -> None:
        """Describe the target; nothing is loaded yet.

        Args:
            law: BestOfN or HighRewardConditional.
            reward: what the answers are ranked by, its own model even where it is the one that the method maximizes.

        """
        super().__init__()
        self.law = law
        self.reward = reward
        self._tokenizer: PreTrainedTokenizerBase | None = None

    def build(self, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """See `Target.build`."""
        self.reward.build(tokenizer)
        self._tokenizer = tokenizer

    def left_to_default(self) -> str | None:
        """See `Target.left_to_default`."""
        option = self.reward.left_to_default()
        return None if option is None else f"reward.{option}"

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The policy's; `build` sets it."""
        if self._tokenizer is None:
            raise RuntimeError("CandidateTarget.build must be called before the target is asked for anything")
        return self._tokenizer

    @torch.no_grad()
    def candidate_logprobs(self, candidates: Rollout, policy_logprobs: Tensor) -> Tensor:
        """Return log π_t over each prompt's candidates [prompts, N], normalized.

        Args:
            candidates: N answers to every prompt.
            policy_logprobs: [prompts, N] log π_θ over each set, normalized.

        """
        pairs = zip(candidates.completion_ids, candidates.completion_mask, strict=True)
        texts = continuation_texts(self.tokenizer, [ids[mask].tolist() for ids, mask in pairs])
        rewards = self.reward.score(candidates, texts)
        return self.law(policy_logprobs, rewards.to(policy_logprobs).view_as(policy_logprobs))
