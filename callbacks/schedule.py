"""When something that happens every n optimizer steps is due."""

from __future__ import annotations


class EveryNSteps:
    """True once in every `every` optimizer steps, whatever number of micro-steps an optimizer step has."""

    def __init__(self, every: int) -> None:
        self.every = every
        self._last = 0

    def start(self, step: int) -> None:
        """Count from `step`."""
        self._last = step

    def is_due(self, step: int) -> bool:
        """Whether a multiple of `every` was reached or passed since the last call."""
        # Not step % every == 0: that stays true in all micro-steps at a step, and manual optimization can skip it.
        due = step // self.every > self._last // self.every
        self._last = step
        return due
