"""What metrics are measured on: answers that were drawn, answers that the data has, and pairs of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from qstar_pl.types import DemonstrationBatch, Example, PreferenceBatch, Rollout


class Answers:
    """What a policy has answered to prompts; `rows` = prompts × samples, those of one prompt side by side.

    What is expensive is computed when a metric first asks for it, and only once.
    """

    def __init__(
        self,
        rollout: Rollout,
        texts: list[str],
        *,
        rewards: Callable[[], Mapping[str, Tensor]],
        divergences: Callable[[], Tensor],
    ) -> None:
        """Hold the answers.

        Args:
            rollout: the answers, with the log-probabilities of their tokens.
            texts: [rows], decoded, without special tokens.
            rewards: computes `self.rewards`.
            divergences: computes `self.divergences`.

        """
        self.rollout = rollout
        self.texts = texts
        self._rewards = rewards
        self._divergences = divergences

    def __len__(self) -> int:
        return len(self.rollout)

    @property
    def samples(self) -> int:
        """Answers to each prompt."""
        return len(self.rollout) // max(1, len(self.rollout.prompts))

    @cached_property
    def examples(self) -> list[Example]:
        """The prompt of each answer [rows], with its metadata (tests, gold facts, …)."""
        return [self.rollout.prompts.examples[index] for index in self.rollout.prompt_index.tolist()]

    @property
    def references(self) -> list[str | None]:
        """The data's own answer to each row's prompt [rows], of a pair the preferred one; None where it has none."""
        return [example.chosen for example in self.examples]

    @cached_property
    def rewards(self) -> Mapping[str, Tensor]:
        """The scores [rows] of the method's judges: "proxy" and "gold", those that there are."""
        return self._rewards()

    @cached_property
    def divergences(self) -> Tensor:
        """D(π_θ‖π_init) [rows, time] at every token, exact over the vocabulary, in nats; 0 where none counts."""
        return self._divergences()


@dataclass(frozen=True)
class Demonstrations:
    """Answers of the data, as the policy sees them."""

    batch: DemonstrationBatch
    logprobs: Tensor
    """[prompts, time]: log π_θ of each token, in nats."""


@dataclass(frozen=True)
class Comparisons:
    """Pairs of the data, as the model sees them."""

    batch: PreferenceBatch
    margins: Tensor
    """[pairs]: by how much the model prefers the answer that was preferred: in nats (log π_θ/π_init of the one minus
    that of the other), or in units of reward."""
    quantities: Mapping[str, Tensor] = field(default_factory=dict)
    """[pairs] each: what else the method has of a pair (a learned β, the rewards of both answers)."""
