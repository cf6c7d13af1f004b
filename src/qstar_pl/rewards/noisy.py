"""A reward with an error of its own: what a measurement of it is worth when it is not to be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from qstar_pl.checks import at_least
from qstar_pl.errors import UserError
from qstar_pl.hashing import number
from qstar_pl.rewards.reward import Reward
from qstar_pl.types import Example, Rollout

_NORMAL = NormalDist()


class NoisyReward(Reward):
    """r(x, y) + sd · ε(x, y), with ε standard normal and independent from one (prompt, text of the answer) to another.

    ε belongs to the answer: it is a function of `seed`, the prompt's key and the decoded text, by way of a hash, so the
    same answer is misjudged in the same way whenever it is drawn, in every process, run and method, and after a
    resume. It is the error of a judge that is wrong but consistent, and drawing an answer again does not average it
    away; only that other answers have other errors does. Its mean over all answers is 0, so it favors no kind of them.
    """

    def __init__(self, reward: Reward, sd: float, seed: int = 0) -> None:
        """Describe the reward.

        Args:
            reward: what the error is added to.
            sd: standard deviation of the error, in units of the reward, at least 0 and finite.
            seed: of the errors; another one makes all of them anew.

        """
        super().__init__()
        at_least(0, sd=sd)
        if math.isinf(sd):
            raise UserError(f"sd must be finite, got {sd}")
        self.reward = reward
        self.sd = sd
        self.seed = seed
        self.some_unknown = reward.some_unknown  # type: ignore[misc] # a ClassVar of rewards without others inside

    def build(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """See `Reward.build`."""
        self.reward.build(tokenizer)

    def left_to_default(self) -> str | None:
        """See `Reward.left_to_default`."""
        option = self.reward.left_to_default()
        return None if option is None else f"reward.{option}"

    def unknown(self, example: Example) -> str | None:
        """See `Reward.unknown`."""
        return self.reward.unknown(example)

    def score(self, rollout: Rollout, completions: Sequence[str]) -> Tensor:
        """See `Reward.score`."""
        scores = self.reward.score(rollout, completions)
        keys = rollout.prompts.keys[rollout.prompt_index].tolist()
        errors = [self.error(key, completion) for key, completion in zip(keys, completions, strict=True)]
        return scores + self.sd * torch.tensor(errors, dtype=scores.dtype, device=scores.device)

    def error(self, key: int, completion: str) -> float:
        """Return ε of an answer, in standard deviations, within ±8.3.

        Args:
            key: of the prompt, `Example.key`.
            completion: decoded text.

        """
        # 52 bits and a half fit into a float exactly; the half keeps 0 and 1 out, where the normal is infinite.
        return _NORMAL.inv_cdf((number(f"{self.seed}/{key}/{completion}", bits=52) + 0.5) / 2**52)
