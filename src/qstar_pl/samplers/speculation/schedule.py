"""How many tokens to draft next, from what was accepted and what passes cost."""

from __future__ import annotations

from qstar_pl.samplers.drafters.drafter import Drafting
from qstar_pl.samplers.speculation.memory import Memory

LAW, PLAIN_REST, BLOCK_REST = "law", "rest of a token", "rest of a block"
"""What is measured beside passes of models: q at n positions per row; all else that a round does."""
LONGEST = 8
"""Longest block that is chosen."""
WARM_UP = 2
"""Plain rounds before the first block, so that there is something to compare with."""
AGAIN = 64
"""Rounds without drafting after which a block is tried again."""
GAIN = 1.03
"""Predicted speed-up below which nothing is drafted."""


class Schedule:
    """Chooses the length of every block before it is drafted."""

    def __init__(
        self, memory: Memory, drafting: Drafting, roles: tuple[str, ...], k: int | None, optional: bool
    ) -> None:
        """Begin a rollout.

        Args:
            memory: of earlier ones.
            drafting: whose blocks they are.
            roles: the models that plain decoding runs.
            k: length of the blocks; None: to be chosen.
            optional: whether drafting may be left out where it does not pay.

        """
        self._memory, self._drafting, self._roles = memory, drafting, roles
        self._k, self._optional = k, optional
        self._idle = 0
        self._warm = all(memory.costs.seconds(role, 1, 1) is not None for role in roles)
        self._rounds = 0

    def choose(self, rows: int) -> int:
        """Return how many tokens to draft for `rows` rows; 0: none, the next token is drawn plainly."""
        if self._k is not None and not self._optional:
            return self._k
        self._rounds += 1
        if not self._warm and self._rounds <= WARM_UP:
            return 0
        choices = range(1, LONGEST + 1) if self._k is None else (self._k,)
        gains = {k: gain for k in choices if (gain := self.predicted(rows, k, self._memory.acceptance)) is not None}
        best = max(gains, key=lambda k: gains[k], default=choices[0])
        if not self._optional or gains.get(best, 0.0) >= GAIN:
            self._idle = 0
            return best
        self._idle += 1
        if self._idle % AGAIN:
            return 0
        return choices[0]

    def predicted(self, rows: int, k: int, acceptance: float) -> float | None:
        """Return the speed-up of blocks of `k` over plain decoding; None: nothing was measured yet."""
        plain = self.plain_seconds(rows)
        tokens, passes = self._drafting.block(k, acceptance)
        costs = self._memory.costs
        parts = [(costs.seconds(one.name, rows, one.columns), one.times) for one in passes]
        parts += [(costs.seconds(LAW, rows, k + 1), 1.0)]
        rest = costs.seconds(BLOCK_REST, rows, 1)
        if plain is None:
            return None
        # What was never measured is taken to cost nothing: it is then tried, and measured.
        seconds = sum((value or 0.0) * times for value, times in parts) + (rest or 0.0)
        return tokens * plain / seconds if seconds > 0 else None

    def plain_seconds(self, rows: int) -> float | None:
        """Return the seconds of one token of plain decoding; None: not measured."""
        if (timed := self._memory.plain_seconds(rows)) is not None:
            return timed
        costs = self._memory.costs
        parts = [costs.seconds(name, rows, 1) for name in (*self._roles, LAW)]
        if any(part is None for part in parts):
            return None
        return sum(part for part in parts if part is not None) + (costs.seconds(PLAIN_REST, rows, 1) or 0.0)
