"""How many rows may be left out before the adapter is taken to be the wrong one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Context
from types import MappingProxyType

from qstar_pl.data.adapters.rows import Rows
from qstar_pl.errors import UserError

MAX_LEFT_OUT = 0.5
"""Share of rows left out above which reading is an error, by default."""


def lines(
    rejected: Mapping[str, int], first: Mapping[str, str], places: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> list[str]:
    """Return a line for each reason: how many rows it has cost, and where the first of them stands, if that is known.

    Args:
        rejected: reason → number of rows.
        first: reason → place.
        places: reason → places of several, the first among them.

    """
    found = []
    for reason, count in sorted(rejected.items()):
        where = f"; first {first[reason]}" if reason in first else ""
        where += f", then {', '.join(more)}" if (more := places.get(reason, ())[1:]) else ""
        found.append(f"  {count} left out: {reason}{where}")
    return found


def enough(left_out: int, read: int) -> float:
    """Return the least limit of three digits that lets `left_out` of `read` rows pass `check_share`."""
    # Rounded up, for whoever sets what is said must not be refused again; 7 of 12 are more than 0.583.
    up = Context(prec=3, rounding=ROUND_CEILING)
    share = up.divide(left_out, read)
    # As a float, it may still be a hair too low: 0.29 × 100 is 28.999999999999996.
    while left_out > float(share) * read:
        share = up.next_plus(share)
    return float(share)


def check_share(path: str, rows: Rows, limit: float) -> None:
    """Check that reading left out at most the share `limit` of the rows.

    Raises:
        UserError: naming the commonest reason and where it is met first; or if the limit is no share.

    """
    if not 0 <= limit <= 1:
        raise UserError(f"max_left_out must lie in [0, 1], got {limit:g}")
    left_out = rows.rejected.total()
    if left_out <= limit * rows.read:
        return
    reasons = rows.rejected.most_common()
    why = "; ".join(f"{count}: {reason}" for reason, count in reasons)
    at = f"; first {rows.first[reasons[0][0]]}" if reasons[0][0] in rows.first else ""
    if left_out == rows.read:
        got = f"got {rows.read} rows in {path} ({why}), all of them left out"
        raise UserError(f"path must hold a usable row, {got}{at}")
    raise UserError(
        f"max_left_out must be at least {enough(left_out, rows.read):g}, the share of {path} that is left out, "
        f"got {limit:g}; {left_out} of {rows.read} rows ({why}){at}"
    )
