"""Texts that name no place of the machine on which an experiment ran."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qstar_pl.experiments.places import EXPERIMENTS

_START = r"(?<![\w.:/~-])"
_RUN = re.compile(rf"{_START}(?:/[^/\s'\"]+)+(?=/(?:cells|tuning)/)")
"""An absolute results folder, in front of a run's."""
_ABSOLUTE = re.compile(rf"{_START}(?:/[\w.+@~-]+){{2,}}")
"""A path from the root, of at least two names; not the rest of an address or of a relative path."""


def without_machine(value: Any, name: str) -> Any:
    """Return what a JSON file holds without absolute paths.

    Results folders lie in `runs/experiments/NAME` then, other paths start in the folder that this process runs in, and
    of those elsewhere the last name is left.

    Args:
        value: of any kind that JSON has.
        name: NAME.

    """
    usual = (EXPERIMENTS / name).as_posix()
    return _each(value, lambda text: _ABSOLUTE.sub(_near, _RUN.sub(usual, text)))


def _near(found: re.Match[str]) -> str:
    place, here = Path(found[0]), Path.cwd()
    return place.relative_to(here).as_posix() if place.is_relative_to(here) else place.name


def _each(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_each(one, change) for one in value]
    return {key: _each(one, change) for key, one in value.items()} if isinstance(value, dict) else value
