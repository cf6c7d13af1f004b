"""Whether a judge prefers what it is shown first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

FIRST, SECOND = "answer_first", "baseline_first"
"""Orders in which a pair is shown, by what stands first."""
ORDERS = "orders"
"""Where a verdict's `extra` holds the preference for the answer in each order that was asked; None: no verdict."""


@dataclass(frozen=True)
class PositionBias:
    """Of verdicts that say in which order the answers were shown."""

    first_share: float
    """Mean preference for the answer shown first: 0.5 without a bias, where both orders are asked."""
    agreement: float | None
    """Share of the pairs in which both orders prefer the same answer, or neither does; None: no pair has both."""
    pairs: int
    """With verdicts in both orders."""

    @classmethod
    def of(cls, extras: Iterable[Mapping[str, Any]]) -> PositionBias | None:
        """Return the bias in verdicts, from their `extra`; None if none says how the answers were shown."""
        firsts, agreeing = [], []
        for extra in extras:
            orders = extra.get(ORDERS, {})
            known = {shown: orders[shown] for shown in (FIRST, SECOND) if orders.get(shown) is not None}
            firsts += [value if shown == FIRST else 1.0 - value for shown, value in known.items()]
            if len(known) == 2:
                agreeing.append(_side(known[FIRST]) == _side(known[SECOND]))
        if not firsts:
            return None
        agreement = sum(agreeing) / len(agreeing) if agreeing else None
        return cls(sum(firsts) / len(firsts), agreement, len(agreeing))

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object; what is not known is absent."""
        known = {"first_share": self.first_share, "order_agreement": self.agreement}
        return {name: value for name, value in known.items() if value is not None}

    def __str__(self) -> str:
        both = f", both orders agree on {self.agreement:.1%} of {self.pairs}" if self.agreement is not None else ""
        return f"the answer shown first is preferred by {self.first_share:.1%}{both}"


def _side(preference: float) -> int:
    return (preference > 0.5) - (preference < 0.5)
