"""Short names by which runs can be told apart, as in the legend of a figure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from qstar_pl.run_folders.places import VERSION

_REPEATED = re.compile(rf"(?:seed|{VERSION.rstrip('_')})_\d+")
"""Parts of a name that number repetitions of one run."""


def labels(folders: Sequence[Path], seeds: Sequence[int | None]) -> list[str]:
    """Return a label per run: its name without what all have in common; with its seed where the name is not enough.

    Args:
        folders: run folders, each once.
        seeds: of the runs; None where it is not known.

    """
    named = _without_repetitions(_relative(folders))
    short = [_without_version(name) for name in named]
    count = Counter(short)
    found = list[str]()
    for name, stem, seed in zip(named, short, seeds, strict=True):
        others = {b for a, b in zip(short, seeds, strict=True) if a == stem}
        said = name if count[stem] > 1 else stem
        tells = count[stem] > 1 and len(others) > 1 and seed is not None and f"seed_{seed}" not in name.split("/")
        found.append(f"{said}, seed {seed}" if tells else said)
    return found


def groups(folders: Sequence[Path]) -> list[str]:
    """Return a name per run that those share which repeat each other: without numbers of versions and of seeds."""
    names = [[part for part in name.split("/") if not _REPEATED.fullmatch(part)] for name in _relative(folders)]
    return ["/".join(dict.fromkeys(parts)) or "runs" for parts in names]


def _relative(folders: Sequence[Path]) -> list[str]:
    parts = [folder.absolute().parts for folder in folders]
    # A run's own name stays, also where all have it.
    above = [one[:-2] for one in parts]
    shared = 0
    while all(len(one) > shared for one in above) and len({one[shared] for one in above}) == 1:
        shared += 1
    return ["/".join(one[shared:]) for one in parts]


def _without_repetitions(names: Sequence[str]) -> list[str]:
    """Drop a part that has been before: in tiny_dpo/seed_0/tiny_dpo/version_0 the second tiny_dpo says nothing."""
    shorter = ["/".join(dict.fromkeys(name.split("/"))) for name in names]
    return shorter if len(set(shorter)) == len(set(names)) else list(names)


def _without_version(name: str) -> str:
    stem, _, last = name.rpartition("/")
    return stem if stem and _REPEATED.fullmatch(last) and last.startswith(VERSION) else name
