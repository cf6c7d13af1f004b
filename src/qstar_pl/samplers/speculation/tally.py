"""What one rollout drafted and kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from qstar_pl.samplers.feeds.costs import Meter
from qstar_pl.samplers.speculation.memory import Memory
from qstar_pl.samplers.speculation.schedule import LAW, Schedule
from qstar_pl.types import Drafting


class Tally:
    """Counts over the rounds of one rollout; a sum over what is known at its end needs no round trip to a device."""

    def __init__(self, memory: Memory, meter: Meter) -> None:
        self._memory, self._meter = memory, meter
        self.tested: list[int] = []
        self.accepted: list[int] = []
        self.emitted = 0
        self.rounds = 0
        self.drafted = 0
        self.total_s = 0.0
        self.seconds = {"draft": 0.0, "verify": 0.0}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time of what is done inside to a phase."""
        started = self._meter.clock()
        yield
        self.seconds[name] += self._meter.clock() - started

    def block(self, proposed: Tensor, kept: Tensor) -> None:
        """Count a round in which the rows had `proposed` [rows] tokens and kept `kept` [rows] of them."""
        longest = int(proposed.max())
        if not longest:
            return
        places = torch.arange(longest, device=kept.device)
        made, stood = proposed.unsqueeze(-1), kept.unsqueeze(-1)
        tested = ((places < made) & (places <= stood)).sum(0).tolist()
        accepted = (places < stood).sum(0).tolist()
        self.rounds += 1
        self.drafted += int(proposed.sum())
        for totals, counts in ((self.tested, tested), (self.accepted, accepted)):
            totals.extend([0] * (longest - len(totals)))
            totals[:longest] = [total + count for total, count in zip(totals, counts, strict=False)]
        self._memory.learn(sum(tested), sum(accepted))

    def report(self, schedule: Schedule, rows: int, longest: int) -> Drafting:
        """Return what happened.

        Args:
            schedule: of the rollout.
            rows: of the whole batch.
            longest: tokens of its longest answer, which is what plain decoding would have taken steps for.

        """
        plain = schedule.plain_seconds(rows)
        tested, accepted = sum(self.tested), sum(self.accepted)
        mean = round(self.drafted / max(1, self.rounds) / rows) if self.rounds else 0
        predicted = schedule.predicted(rows, max(1, mean), accepted / tested) if tested else None
        return Drafting(
            tested=tuple(self.tested),
            accepted=tuple(self.accepted),
            emitted=self.emitted,
            calls={name: calls for name, calls in self._meter.calls.items() if name != LAW},
            seconds={**self.seconds, "total": self.total_s},
            predicted=predicted,
            measured=None if plain is None or not self.total_s else longest * plain / self.total_s,
        )
