"""Which answers a metric of answers wants to see."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

from qstar_pl.samplers import Sampler


@dataclass(frozen=True)
class Drawing:
    """How `validate` and `test` draw what a metric reads; metrics with equal drawings read the same answers."""

    samples: int = 1
    """Answers to each prompt."""
    greedy: bool = False
    """Always the most probable token of q, instead of chance."""

    def sampler(self, evaluation: Sampler) -> Sampler:
        """Return the method's `evaluation_sampler` as this drawing has it."""
        if not self.greedy:
            return evaluation
        # A copy, and not `replace`, which would leave behind the models that a sampler has built.
        greedy = copy(evaluation)
        object.__setattr__(greedy, "top_k", 1)  # samplers are frozen
        return greedy
