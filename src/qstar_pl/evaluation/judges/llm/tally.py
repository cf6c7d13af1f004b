"""What a judge has done: how often, how it leans, and what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from qstar_pl.evaluation.judges.llm.budget import Ledger
from qstar_pl.evaluation.judges.llm.cache import Cache, Judgment
from qstar_pl.evaluation.judges.position import PositionBias
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
    _extras: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, verdict: Verdict, judgments: Collection[Judgment]) -> None:
        """Count a comparison."""
        self.comparisons += 1
        if verdict.preference is None:
            self.without_verdict[str(verdict.reason).partition(": ")[0]] += 1
        self.ties += verdict.tie
        self.weighted += sum(judgment.weighted for judgment in judgments)
        self._extras.append(verdict.extra)

    def add_cached(self, judgment: Judgment) -> None:
        """Count a request that was not sent."""
        self.from_cache += 1
        if judgment.usage is not None:
            self.cached_tokens += judgment.usage.prompt + judgment.usage.completion

    def as_json(self, ledger: Ledger, cache: Cache) -> dict[str, Any]:
        """Return what results state; what is not known is absent."""
        bias = PositionBias.of(self._extras)
        known: dict[str, Any] = {
            "comparisons": self.comparisons,
            "without_verdict": dict(sorted(self.without_verdict.items())),
            "ties": self.ties,
            **(bias.as_json() if bias is not None else {}),
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
