"""The tests of programs as a judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from qstar_pl.checks import at_least
from qstar_pl.evaluation.judges.scoring import ScoringJudge
from qstar_pl.rewards import ExecutionReward
from qstar_pl.sandbox import Limits, Outcome
from qstar_pl.types import Example


@dataclass(frozen=True)
class TestsJudge(ScoringJudge):
    """Prefers the program that passes more of its problem's tests; programs that pass equally many tie.

    Programs run in the sandbox. Tests that cannot be run give no verdict.
    """

    __test__ = False  # pytest would take it for a test

    workers: int | None = field(default=None, repr=False)
    """Programs at once; null: one per processor that this process may use."""
    limits: Limits = field(default_factory=Limits)
    """What one run of a program may use."""
    expensive: bool = field(default=True, repr=False)
    """Leave it out of the validations within `fit`."""

    def __post_init__(self) -> None:
        at_least(1, workers=self.workers)

    @cached_property
    def _reward(self) -> ExecutionReward:
        return ExecutionReward(self.workers, share_of_tests=True, limits=self.limits)

    def unknown(self, example: Example) -> str | None:
        """See `Judge.unknown`."""
        return self._reward.unknown(example)

    def scores(self, rows: Sequence[tuple[Example, str]]) -> list[float | str]:
        """See `ScoringJudge.scores`; the share of the tests passed."""
        verdicts = self._reward.verdicts([example for example, _ in rows], [text for _, text in rows])
        return [
            f"the tests cannot be run: {verdict.detail}" if verdict.outcome is Outcome.BROKEN_TESTS else verdict.share
            for verdict in verdicts
        ]

    def close(self) -> None:
        """See `Judge.close`."""
        self._reward.close()
