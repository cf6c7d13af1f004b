"""Copies the part of results folders that a report reads: it makes the same report as they do, byte for byte.

A folder for each experiment, NAME_VARIANT, with the files that `experiments/results/files.py` describes. Left out are
logs, checkpoints and run folders, metrics that no table and no figure shows, and what `tables.py` says of each table.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qstar_pl.errors import UserError
from qstar_pl.experiments.places import ANSWERS, CURVES, DISTRIBUTIONS, RESULTS, TIMES
from qstar_pl.experiments.report.kept.paths import without_machine
from qstar_pl.experiments.report.kept.tables import answers, bins, numbers, write
from qstar_pl.experiments.report.reading import Results, read_results
from qstar_pl.files import replacing


def keep(experiments: Sequence[Results], folder: Path) -> list[Path]:
    """Write a small copy of each experiment, whole or not at all; return their folders.

    Args:
        experiments: those that lie in `folder` already stay as they are.
        folder: holds a folder for each, which replaces an earlier one of that name.

    Raises:
        UserError: if two have the same name and variant, or a folder of another name already holds one of them.

    """
    kept = dict[Path, Results]()
    for one in experiments:
        place = folder / f"{one.name}_{one.variant}"
        if place in kept:  # asked before anything is written
            raise UserError(f"runs must differ in name and variant to be kept, got {place.name} twice")
        kept[place] = one
    for there in sorted(file.parent for file in folder.glob(f"*/{RESULTS}") if file.parent not in kept):
        held = read_results(there)
        if (place := folder / f"{held.name}_{held.variant}") in kept:
            raise UserError(
                f"output must keep {place.name} once, got it in {there} as well: remove that, or rename it back"
            )
    for place, one in kept.items():
        if place.resolve() != one.folder.resolve():
            _copy(one, place)
    return list(kept)


def _copy(results: Results, place: Path) -> None:
    with replacing(place) as beside:
        beside.mkdir()
        (beside / RESULTS).write_text(_json(results), encoding="utf-8")
        write(numbers(results, CURVES), beside / CURVES)
        if (results.folder / TIMES).exists():
            write(numbers(results, TIMES), beside / TIMES)
        if results.recorded_answers is not None:
            write(answers(results), beside / ANSWERS)
        if results.distributions is not None:
            write(bins(results), beside / DISTRIBUTIONS)


def _json(results: Results) -> str:
    """Return results.json with a line for each run, as git compares them."""
    text = (results.folder / RESULTS).read_text(encoding="utf-8")
    found: dict[str, Any] = without_machine(json.loads(text), f"{results.name}_{results.variant}")
    parts = []
    for key, value in found.items():
        rows = value if key in ("runs", "stages") and value else None
        said = _line(value) if rows is None else "[\n" + ",\n".join(f"  {_line(one)}" for one in rows) + "\n ]"
        parts.append(f" {_line(key)}: {said}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(", ", ": "))
