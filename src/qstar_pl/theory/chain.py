"""Answers of a few tokens over a few symbols, all of which can be listed: sums over answers are exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.qstar import geometric_mixture

SYMBOLS = 3
STEPS = 5
ANSWERS = SYMBOLS**STEPS


@dataclass(frozen=True)
class Chain:
    """A model of answers: the next symbol's log-probabilities after each prefix.

    Answer i has the digits of i in base `SYMBOLS` as its symbols, the first one in front.
    """

    steps: Sequence[Tensor]
    """Per step t: [SYMBOLS^t, SYMBOLS] float64, a row for each prefix."""

    @classmethod
    def random(cls, seed: int, scale: float = 1.0) -> Chain:
        """Return a chain whose logits are independent normal numbers of standard deviation `scale`."""
        generator = torch.Generator().manual_seed(seed)
        shapes = ((SYMBOLS**step, SYMBOLS) for step in range(STEPS))
        return cls(
            [
                (scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).log_softmax(-1)
                for shape in shapes
            ]
        )

    def of_tokens(self) -> Tensor:
        """Return log p of every token of every answer [ANSWERS, STEPS]."""
        return torch.stack([spread(step.flatten()) for step in self.steps], -1)


def spread(of_prefixes: Tensor) -> Tensor:
    """Return for each answer [ANSWERS] the entry of its prefix, from one entry per prefix [SYMBOLS^t]."""
    return of_prefixes.repeat_interleave(ANSWERS // len(of_prefixes))


@dataclass(frozen=True)
class TokenMixture:
    """The law that mixes two chains with a fixed α token by token."""

    chain: Chain
    """Its next-symbol log-probabilities."""
    log_z: Tensor
    """log Z_t after the prefix of each answer, at each step [ANSWERS, STEPS], nats."""


def mix_tokens(policy: Chain, target: Chain, alpha: float) -> TokenMixture:
    """Mix the next symbols after every prefix."""
    mixed = [geometric_mixture(p, t, alpha) for p, t in zip(policy.steps, target.steps, strict=True)]
    return TokenMixture(Chain([one.logprobs for one in mixed]), torch.stack([spread(one.log_z) for one in mixed], -1))
