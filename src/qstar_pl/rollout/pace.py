"""What processes that decode together agree on, token by token."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch

from qstar_pl.checks import at_least
from qstar_pl.errors import UserError

T = TypeVar("T")

LOOK_EVERY = 16
"""Up to so many tokens are decoded in vain once all rows have ended, and an error comes as many tokens late."""


@dataclass(frozen=True)
class Pace:
    """How a decode loop ends."""

    everyone: Callable[[bool], bool] = bool
    """Asked at every look (see `look_every`) with "all my answers have ended"; True ends the loop. Under streamed
    parameters every forward pass is a meeting of all processes, so none may stop before the last one has ended. The
    default, bool, asks this process alone."""
    limit_s: float | None = None
    """Longest time of one rollout, s; None: none."""
    look_every: int | None = None
    """Tokens between two looks at what the device has found: which rows have ended, whether a check failed, whether
    rows are to leave the batch. Each look waits for the device. None: 1 on a CPU, where looking is free and ended rows
    are left out at once, and `LOOK_EVERY` elsewhere. The texts do not depend on it; the same on all processes."""

    def __post_init__(self) -> None:
        if self.look_every is not None:
            at_least(1, look_every=self.look_every)

    def tokens_between_looks(self, device: torch.device) -> int:
        """Return `look_every` for a loop on this device."""
        if self.look_every is not None:
            return self.look_every
        return 1 if device.type == "cpu" else LOOK_EVERY


class Clock:
    """Watches over one rollout."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._start = time.monotonic()

    def over(self, ended: bool, tokens: int) -> bool:
        """Return whether the loop ends; asks all processes.

        Args:
            ended: whether all answers of this process have.
            tokens: decoded so far, for the message.

        Raises:
            UserError: if the rollout has taken longer than allowed.

        """
        limit, spent = self._pace.limit_s, time.monotonic() - self._start
        if limit is not None and spent > limit:
            raise UserError(
                f"trainer.strategy.rollout_limit_s must be enough for a rollout, got {limit:g}, and {spent:.1f} s have "
                f"passed after {tokens} tokens"
            )
        return self._pace.everyone(ended)


def in_company(items: Iterable[T], pace: Pace) -> Iterator[T]:
    """Yield the items, at least one, and the last one again until every process has had all of its own.

    For work that is done the same way again without harm: models that are streamed are run equally often everywhere.
    """
    left = list(items)
    item = left.pop(0)
    while True:
        yield item
        if pace.everyone(not left):
            return
        item = left.pop(0) if left else item
