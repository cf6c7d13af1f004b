"""The gold reward of the tiny world as a `Reward`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from qstar_pl.rewards.reward import Reward
from qstar_pl.tiny_world.gold_formula import gold_reward, why_unknown
from qstar_pl.types import Example, Rollout


class GoldReward(Reward):
    """A programmatic reward in [0, 1]; `qstar_pl.tiny_world.gold_formula` and its neighbors state its formulas.

    For rows of the tiny world it knows the facts, the story or the tests. For any other dialogue or post it is a stated
    heuristic of the text alone (on topic, complete, polite, neither repetitive nor copied, of a sensible length): good
    for trying methods out, no measure of helpfulness.
    """

    def __init__(self, heuristic: bool = False) -> None:
        """Describe the reward.

        Args:
            heuristic: also judge rows of other data, by the heuristic; otherwise this is the tiny world's reward alone.

        """
        super().__init__()
        self.heuristic = heuristic

    def left_to_default(self) -> str | None:
        """See `Reward.left_to_default`."""
        return None if self.heuristic else "heuristic"

    def unknown(self, example: Example) -> str | None:
        """See `Reward.unknown`."""
        return why_unknown(example.metadata)

    def score(self, rollout: Rollout, completions: Sequence[str]) -> Tensor:
        """See `Reward.score`; reads the user's last turn and the metadata of each answer's example."""
        examples = [rollout.prompts.examples[index] for index in rollout.prompt_index.tolist()]
        rewards = [
            gold_reward(example.turns[-1].content, completion, example.metadata)
            for example, completion in zip(examples, completions, strict=True)
        ]
        return torch.tensor(rewards, dtype=torch.float32, device=rollout.completion_ids.device)
