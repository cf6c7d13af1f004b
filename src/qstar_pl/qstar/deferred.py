"""Checks that do not wait for their device: what is wrong is noted there, and read once for many tokens.

A check that asks a tensor (`bool(mask.any())`) makes the processor wait until the device has done all that was asked of
it. Inside `Deferred.token` the functions of this package ask nothing: they compute in shapes that do not depend on
values, and note which rows they would have refused. Whoever decodes reads that from time to time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

Report = Callable[[list[tuple[int, ...]], int], None]
"""Given (row, position) of all findings and the number of contexts that were looked at: raises, or warns."""


@dataclass(frozen=True)
class _Token:
    """The contexts of one token."""

    time: int
    rows: Tensor
    """[n] int64, as they are to be named."""
    counts: Tensor
    """[n] bool: rows whose findings count; those that have ended are computed along, whatever they hold."""


class Deferred:
    """Findings of one loop over tokens."""

    def __init__(self) -> None:
        self._token: _Token | None = None
        self._found: dict[str, list[tuple[_Token, Tensor]]] = {}
        self._reports: dict[str, Report] = {}

    @contextmanager
    def token(self, time: int, rows: Tensor, counts: Tensor) -> Iterator[None]:
        """Let the checks of this thread be noted here, for the token at position `time`.

        Args:
            time: position, for messages.
            rows: [n] int64, numbers of the rows, for messages.
            counts: [n] bool, rows whose findings count.

        """
        self._token = _Token(time, rows, counts)
        before, _ACTIVE.deferred = current(), self
        try:
            yield
        finally:
            _ACTIVE.deferred = before

    def note(self, name: str, mask: Tensor, report: Report) -> None:
        """Note the rows `mask` [n] that a check would refuse.

        Args:
            name: of the check; the findings of all tokens are reported together.
            mask: bool, stays on its device.
            report: called by `read` if a row that counts was found; of several checks the first one is asked first.

        """
        assert self._token is not None, "checks are noted inside `token`"
        self._found.setdefault(name, []).append((self._token, mask))
        self._reports[name] = report

    def read(self, *also: Tensor) -> list[int]:
        """Report what was found since the last call; the only place that waits for the device.

        Args:
            also: integer scalars that are wanted in the same transfer.

        Returns:
            Their values.

        """
        found, self._found = self._found, {}
        masks = {
            name: torch.stack([mask for _, mask in notes]) & torch.stack([token.counts for token, _ in notes])
            for name, notes in found.items()
        }
        asked = [*(mask.sum() for mask in masks.values()), *also]
        answers: list[int] = torch.stack(asked).tolist() if asked else []
        for name, count in zip(masks, answers, strict=False):
            if count:
                tokens = [token for token, _ in found[name]]
                places = [
                    (int(tokens[place].rows[at]), tokens[place].time) for place, at in masks[name].nonzero().tolist()
                ]
                self._reports[name](sorted(set(places)), sum(int(token.counts.sum()) for token in tokens))
        return answers[len(masks) :]


class _Active(threading.local):
    deferred: Deferred | None = None


_ACTIVE = _Active()


def current() -> Deferred | None:
    """Return where this thread's checks are noted; None: they are made at once."""
    return _ACTIVE.deferred


def raising(error: Callable[[list[tuple[int, ...]]], Exception]) -> Report:
    """Return a report that raises what `error` makes of the findings at the first position that has any.

    What was found behind it may follow from it: the tokens drawn there mean nothing.
    """

    def report(places: list[tuple[int, ...]], contexts: int) -> None:
        first = min(place[-1] for place in places)
        raise error([place for place in places if place[-1] == first])

    return report
