"""Finds run folders: below a folder, by the name of a run, by a wildcard, or by one of their files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatch
from pathlib import Path

from qstar_pl.errors import UserError
from qstar_pl.run_folders.places import CHECKPOINTS, CONFIG, LOCK, METRICS, VERSION

DEEPEST = 8
"""How many folders below the given one are searched."""
_WILD = "*?["


@dataclass
class Found:
    """Run folders, and what could not be looked into."""

    folders: list[Path] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    """One line each."""


def is_run(folder: Path, names: Iterable[str]) -> bool:
    """Return whether a folder with these entries is a run's."""
    there = set(names)
    return bool({METRICS, LOCK} & there) or (
        CONFIG in there and (CHECKPOINTS in there or folder.name.startswith(VERSION))
    )


def runs_below(place: Path) -> Found:
    """Return the run folders below a folder, itself included; one that may not be read is a notice."""
    found = Found()
    top = len(place.parts)

    def refuse(error: OSError) -> None:
        found.notices.append(f"{error.filename} is left out: {error.strerror}")

    for path, inner, files in os.walk(place, onerror=refuse):
        folder = Path(path)
        inner.sort()
        if is_run(folder, [*inner, *files]):
            found.folders.append(folder)
            inner[:] = [one for one in inner if one != CHECKPOINTS]
        inner[:] = [one for one in inner if not one.startswith(".")] if len(folder.parts) - top < DEEPEST else []
    return found


def runs_at(places: Sequence[str], root: Path) -> Found:
    """Return the runs that words of a command line name, each once and in the order of the words.

    A word is a folder, a file in a run's folder (its metrics.csv, for one), the name of runs below `root`, with or
    without /version_N, or a wildcard for either.

    Raises:
        UserError: if a word names no run.

    """
    found, below = Found(), None
    for word in places:
        exists = os.path.lexists(word)
        inside = [_inside(one) for one in ([Path(word)] if exists else sorted(_expanded(word)))]
        names = [folder for one in inside for folder in one.folders]
        found.notices += [line for one in inside for line in one.notices]
        if not names and not any(one.notices for one in inside):  # a folder of other things may be called as a run is
            below = runs_below(root) if below is None else below
            names = [folder for folder in below.folders if matches(folder, root, word)]
            if exists and not names:
                raise UserError(f"a run must be a folder with metrics.csv or config.yaml in it or below, got {word}")
            if not names:
                raise UserError(_unknown(word, root, below.folders))
        found.folders += names
    found.folders = list({folder.resolve(): folder for folder in found.folders}.values())
    return found


def name_of(folder: Path, root: Path) -> str:
    """Return a run's name with its version, as it is called below a folder of runs: "ledpo/version_0"."""
    inside = folder.is_relative_to(root) and folder != root
    return (folder.relative_to(root) if inside else Path(*folder.absolute().parts[-2:])).as_posix()


def matches(folder: Path, root: Path, pattern: str) -> bool:
    """Return whether a part of a run's name is called so: its folder, one above it, or several of them in a row."""
    name = name_of(folder, root)
    parts = name.split("/")
    pattern = pattern.strip("/")
    places = range(len(parts) + 1)
    return any(fnmatch("/".join(parts[first:end]), pattern) for end in places for first in range(end))


def _inside(path: Path) -> Found:
    if path.is_dir():
        return runs_below(path)
    folder = path.absolute().parent
    return Found([folder] if is_run(folder, (one.name for one in folder.iterdir())) else [])


def _expanded(word: str) -> Iterator[Path]:
    if any(sign in word for sign in _WILD):
        path = Path(word)
        with suppress(ValueError):  # "**" beside other letters
            yield from Path(path.anchor or ".").glob(str(path.relative_to(path.anchor) if path.anchor else path))


def _unknown(word: str, root: Path, folders: Sequence[Path]) -> str:
    names = sorted({part for folder in folders for part in name_of(folder.parent, root).split("/")})
    near = get_close_matches(word, names, n=1, cutoff=0.5)
    runs = sorted({name_of(one.parent if one.name.startswith(VERSION) else one, root) for one in folders})
    there = ", ".join(runs[:8]) + (", …" if len(runs) > 8 else "")
    hint = f"; did you mean {near[0]}?" if near else f"; there are {there}" if runs else ""
    return f"a run must be a folder, or the name of runs below {root}, got {word}{hint}"
