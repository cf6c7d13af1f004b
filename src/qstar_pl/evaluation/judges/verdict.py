"""What a judge says of two answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """Which of two answers is preferred, or that it is not known.

    Raises:
        ValueError: if the preference is outside [0, 1], or absent without a reason.

    """

    preference: float | None
    """In [0, 1]: 1 the answer wins, 0 the baseline wins, 0.5 a tie; between them, a probability that the answer wins.
    None: there is no verdict."""
    reason: str | None = None
    """In one line: why there is no verdict (then required), or what decided."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What else is worth keeping, as JSON can hold it: scores, the order of the answers, tokens, a judge's words."""

    def __post_init__(self) -> None:
        if self.preference is None and not self.reason:
            raise ValueError("a verdict without a preference must say why")
        if self.preference is not None and not 0 <= self.preference <= 1:  # written so, it refuses NaN too
            raise ValueError(f"preference must lie in [0, 1], got {self.preference}")

    @classmethod
    def of_scores(cls, answer: float, baseline: float, margin: float = 0.0) -> Verdict:
        """Return the verdict for the answer with the higher score; scores at most `margin` apart tie.

        A score that is not a number gives no verdict. Both scores are kept in `extra`.
        """
        scores = {"answer": answer, "baseline": baseline}
        if math.isnan(answer) or math.isnan(baseline):
            # JSON has no NaN.
            kept = {name: None if math.isnan(score) else score for name, score in scores.items()}
            return cls(None, "a score is not a number", {"scores": kept})
        # Equal infinite scores tie, and their difference is no number.
        if answer == baseline or abs(answer - baseline) <= margin:
            return cls(0.5, extra={"scores": scores})
        return cls(float(answer > baseline), extra={"scores": scores})

    @property
    def tie(self) -> bool:
        """Whether neither answer is preferred."""
        return self.preference == 0.5

    def swapped(self) -> Verdict:
        """Return the verdict on the same two answers with their roles exchanged; `extra` stays as it is."""
        return self if self.preference is None else replace(self, preference=1.0 - self.preference)

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as a JSON object: `preference`, and `reason` and `extra` where there are any."""
        kept: dict[str, Any] = {"preference": self.preference}
        if self.reason is not None:
            kept["reason"] = self.reason
        if self.extra:
            kept["extra"] = dict(self.extra)
        return kept

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> Verdict:
        """Return the verdict that `as_json` has written."""
        return cls(kept["preference"], kept.get("reason"), kept.get("extra", {}))
