"""The laws that tokens were drawn from, kept so that their model need not read the finished answers again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from qstar_pl.models.next_token import NextToken
from qstar_pl.rollout.absent import MAX_ELEMENTS
from qstar_pl.rollout.law import POLICY, TARGET, Law
from qstar_pl.rollout.pace import Pace

_KEEPING = ContextVar("keeping", default=False)


@contextmanager
def keeping_laws() -> Iterator[None]:
    """Let rollouts drawn inside the block keep the laws of one model, where they fit into memory.

    A second model is then compared with the very law that was drawn from, and not with that of a second reading, which
    differs by rounding. Training draws so; `generate` does not, whose numbers must not depend on how much fits.
    """
    token = _KEEPING.set(True)
    try:
        yield
    finally:
        _KEEPING.reset(token)


class DrawnLaws:
    """log q [rows, time, vocab] of every position that was drawn."""

    def __init__(self, rows: int, time: int, like: Tensor) -> None:
        """Make room, for laws of the dtype, device and vocabulary of `like`."""
        self._laws = torch.empty(rows, time, like.shape[-1], dtype=like.dtype, device=like.device)
        self._seen: Tensor | None = None

    def see(self, law_logprobs: Tensor) -> None:
        """Take the law [n, vocab] that the next tokens are drawn from."""
        self._seen = law_logprobs

    def note(self, rows: Tensor, time: int) -> None:
        """Say which answers [n] it was of, and at which time."""
        assert self._seen is not None  # a law is seen before its tokens are noted
        self._laws[rows, time] = self._seen
        self._seen = None

    def at(self, where: tuple[Tensor, Tensor]) -> Tensor:
        """Return the laws [n, vocab] at (rows, times)."""
        return self._laws[where]


def drawn_laws(
    law: Law, models: Mapping[str, NextToken], rows: int, time: int, like: Tensor, pace: Pace
) -> DrawnLaws | None:
    """Return room for the laws of `rows` answers of `time` tokens; None where nobody asks, or there is no use for it.

    Under streamed parameters all processes read equally often, whatever fits into the memory of one.
    """
    lone = len(law.roles) == 1 and models[POLICY] is not models[TARGET]
    fits = rows * time * like.shape[-1] <= MAX_ELEMENTS
    return DrawnLaws(rows, time, like) if _KEEPING.get() and lone and fits and pace.everyone is bool else None
