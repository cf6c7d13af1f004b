"""What a sampler remembers from rollout to rollout: what passes cost, what is accepted, and which way is faster."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass, field

from qstar_pl.samplers.feeds.costs import Costs

PRIOR_TESTED, PRIOR_ACCEPTED = 4.0, 3.2
FORGET = 0.98
"""What a round leaves of the weight of those before it."""
FIRST, LONGEST_WAIT = 16, 128
"""Rollouts after which the way that was slower is tried again: at first, and once it has lost again and again."""
TRIALS = 2
"""Rollouts of each way before it is judged: the first ones load, and learn what passes cost."""
MARGIN = 1.03
"""How much faster drafting must be."""


@dataclass
class Ways:
    """Seconds per token of plain and of drafted rollouts of about as many rows; each is timed as a whole.

    What else a machine does makes some of them slower. Plain decoding is judged by its fastest, drafting by its median:
    where times vary much, nothing is drafted.
    """

    plain: deque[float] = field(default_factory=lambda: deque(maxlen=5))
    drafted: deque[float] = field(default_factory=lambda: deque(maxlen=5))
    wait: int = FIRST
    since: int = 0

    @property
    def drafting_pays(self) -> bool | None:
        """Whether drafting was faster; None: not known yet."""
        if min(len(self.plain), len(self.drafted)) < TRIALS:
            return None
        return MARGIN * statistics.median(self.drafted) < min(self.plain)

    def choose(self) -> bool:
        """Return whether the next rollout drafts."""
        pays = self.drafting_pays
        if pays is None:  # in turns, plain first
            return len(self.drafted) < len(self.plain)
        self.since += 1
        return pays != (self.since >= self.wait)

    def note(self, drafted: bool, seconds: float) -> None:
        """Learn how long a rollout took per token."""
        before = self.drafting_pays
        tried = before is not None and drafted != before
        known = self.drafted if drafted else self.plain
        if tried:
            known.clear()  # what was long ago says little
        known.extend([seconds] * (TRIALS if tried else 1))  # one try is enough to go by
        if tried:
            self.since = 0
            self.wait = min(2 * self.wait, LONGEST_WAIT) if self.drafting_pays == before else FIRST


@dataclass
class Memory:
    """Of one sampler."""

    costs: Costs = field(default_factory=Costs)
    tested: float = PRIOR_TESTED
    accepted: float = PRIOR_ACCEPTED
    ways: dict[int, Ways] = field(default_factory=dict)
    """By the number of rows, in powers of two."""

    @property
    def acceptance(self) -> float:
        """Probability that a tested proposal is accepted, recent ones counting more."""
        return self.accepted / self.tested

    def learn(self, tested: int, accepted: int) -> None:
        """Count a round's proposals."""
        if tested:
            self.tested = FORGET * self.tested + tested
            self.accepted = FORGET * self.accepted + accepted

    def way(self, rows: int) -> Ways:
        """Return what is known of rollouts of about so many rows."""
        return self.ways.setdefault(rows.bit_length(), Ways())

    def plain_seconds(self, rows: int) -> float | None:
        """Return the seconds per token of plain rollouts; None: none was timed."""
        way = self.ways.get(rows.bit_length())
        return min(way.plain) if way is not None and way.plain else None
