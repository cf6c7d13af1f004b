"""What a judge has done: how often, how it leans, and what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from qstar_pl.evaluation.judges.llm.budget import Ledger
from qstar_pl.evaluation.judges.llm.cache import Cache, Judgment
from qstar_pl.evaluation.judges.verdict import Verdict


@dataclass
class Tally:
    """Sums over comparisons, of all calls of a judge."""

    comparisons: int = 0
    ties: int = 0
    without_verdict: Counter[str] = field(default_factory=Counter)
    """By reason, without its details."""
    from_cache: int = 0
    """Requests that were not sent."""
    weighted: int = 0
    """Judgments that were formed from log-probabilities."""
    cached_tokens: int = 0
    _first: float = 0.0
    _read: int = 0
    _agreeing: int = 0
    _both: int = 0

    def add(self, verdict: Verdict, judgments: Collection[Judgment], *, pairwise: bool) -> None:
        """Count a comparison."""
        self.comparisons += 1
        if verdict.preference is None:
            self.without_verdict[str(verdict.reason).partition(": ")[0]] += 1
        self.ties += verdict.tie
        values = [judgment.value for judgment in judgments if judgment.value is not None]
        self.weighted += sum(judgment.weighted for judgment in judgments)
        if not pairwise:
            return
        self._first += sum(values)
        self._read += len(values)
        if len(values) == 2:
            self._both += 1
            self._agreeing += _side(values[0]) == -_side(values[1])

    def add_cached(self, judgment: Judgment) -> None:
        """Count a request that was not sent."""
        self.from_cache += 1
        if judgment.usage is not None:
            self.cached_tokens += judgment.usage.prompt + judgment.usage.completion

    @property
    def first_share(self) -> float | None:
        """How far the answer shown first is preferred, on average: without a bias 0.5 where both orders are asked."""
        return self._first / self._read if self._read else None

    @property
    def agreement(self) -> float | None:
        """Share of comparisons with two judgments in which both prefer the same answer, or neither."""
        return self._agreeing / self._both if self._both else None

    def as_json(self, ledger: Ledger, cache: Cache) -> dict[str, Any]:
        """Return what results state; what is not known is absent."""
        known: dict[str, Any] = {
            "comparisons": self.comparisons,
            "without_verdict": dict(sorted(self.without_verdict.items())),
            "ties": self.ties,
            "first_share": self.first_share,
            "order_agreement": self.agreement,
            "weighted": self.weighted,
            "requests": ledger.requests,
            "repetitions": ledger.repetitions,
            "from_cache": self.from_cache,
            "failures": dict(sorted(ledger.failures.items())),
            "tokens": {"prompt": ledger.usage.prompt, "completion": ledger.usage.completion},
            "cached_tokens": self.cached_tokens,
            "replies_without_usage": ledger.without_usage,
            "cost": ledger.cost,
            "torn_cache_lines": cache.torn,
        }
        return {name: fact for name, fact in known.items() if fact is not None}


def _side(preference: float) -> int:
    return (preference > 0.5) - (preference < 0.5)
