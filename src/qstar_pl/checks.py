"""Checks of what users give, and the one sentence that refuses it: "<argument> must <rule>, got <value>"."""

from __future__ import annotations

from qstar_pl.errors import UserError


def at_least(least: float, /, **named: float | None) -> None:
    """Check that each argument is `least` or more; None passes.

    Raises:
        UserError: naming the first that is not.

    """
    for name, value in named.items():
        if value is not None and not value >= least:  # written so, these comparisons refuse NaN too
            raise UserError(f"{name} must be at least {least}, got {value}")


def positive(**named: float | None) -> None:
    """Check that each argument is above 0; None passes.

    Raises:
        UserError: naming the first that is not.

    """
    for name, value in named.items():
        if value is not None and not value > 0:
            raise UserError(f"{name} must be positive, got {value}")


def within(interval: str, /, **named: float | None) -> None:
    """Check that each argument lies in an interval, written as "[0, 1)", without the ends at parentheses; None passes.

    Raises:
        UserError: naming the first that does not.

    """
    low, high = map(float, interval[1:-1].split(","))
    for name, value in named.items():
        if value is None:
            continue
        above = value >= low if interval[0] == "[" else value > low
        below = value <= high if interval[-1] == "]" else value < high
        if not (above and below):
            raise UserError(f"{name} must lie in {interval}, got {value}")


def not_empty(**places: str | None) -> None:
    """Check that no place is an empty text, which `Path` would take for the working folder; None passes.

    Raises:
        UserError: naming the first that is.

    """
    for name, value in places.items():
        if value is not None and not value.strip():
            raise UserError(f"{name} must name a file or a folder, got nothing")
