"""What becomes of a step whose rewards, loss or gradient are not finite."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from qstar_pl.checks import at_least


@dataclass(frozen=True)
class NonFinite(ABC):
    """Decides whether a run goes on without such a step; the optimizer never takes it."""

    @abstractmethod
    def goes_on(self, skipped: int) -> bool:
        """Return whether one more step may be left out after `skipped` of this run's have been."""


@dataclass(frozen=True)
class Stop(NonFinite):
    """The run ends at the first one, with a line that says what was not finite, and where."""

    def goes_on(self, skipped: int) -> bool:
        """See `NonFinite.goes_on`."""
        return False


@dataclass(frozen=True)
class Skip(NonFinite):
    """Weights and optimizer stay as they are, and the run goes on with the next batch; schedules count the step."""

    limit: int = 10
    """Steps of a run that may be left out, at least 1; the next one ends it."""

    def __post_init__(self) -> None:
        at_least(1, limit=self.limit)

    def goes_on(self, skipped: int) -> bool:
        """See `NonFinite.goes_on`."""
        return skipped < self.limit
