"""What speculative sampling did over many rollouts, in a line."""

from __future__ import annotations

from collections import Counter

from qstar_pl.types import SamplerInfo


class Totals:
    """Sums over rollouts, drafted or not."""

    def __init__(self) -> None:
        self.rollouts = self.drafted_rollouts = 0
        self.tested = self.accepted = 0
        self._tokens = 0.0
        self._calls: Counter[str] = Counter()
        self._plain_s = self._timed_s = 0.0

    def add(self, info: SamplerInfo, rows: int) -> None:
        """Count a rollout of `rows` answers."""
        self.rollouts += 1
        drafting = info.drafting
        if drafting is None:
            return
        self.drafted_rollouts += 1
        self.tested += sum(drafting.tested)
        self.accepted += sum(drafting.accepted)
        self._tokens += drafting.emitted / max(1, rows)
        self._calls.update(drafting.calls)
        if drafting.measured is not None:
            self._plain_s += drafting.measured * drafting.seconds["total"]
            self._timed_s += drafting.seconds["total"]

    def line(self) -> str | None:
        """Return what was accepted and saved; None where nothing was drafted."""
        if not self.tested:
            return None
        parts = [f"{self.accepted / self.tested:.0%} of the drafts accepted"]
        calls = [f"{self._tokens / calls:.2f} of {model}" for model, calls in sorted(self._calls.items()) if calls]
        parts.append(f"tokens per pass: {', '.join(calls)}")
        if self._timed_s:
            parts.append(f"{self._plain_s / self._timed_s:.2f} times as fast as plain decoding")
        if self.drafted_rollouts < self.rollouts:
            parts.append(f"{self.rollouts - self.drafted_rollouts} of {self.rollouts} batches were decoded plainly")
        return "; ".join(parts)
