"""Reads a results folder: everything that tables, verdicts and figures are drawn from.

    results = read_results(Path("runs/experiments/mvp_tiny"))
    for cell in results.cells:                              # names, the baseline first
        for run in results.finished(cell):                  # Run: spent, before, after, command, …
            points = results.series(cell, run.seed, results.score, x="samples")     # Points: x, y
            last = results.answers(cell, run.seed)          # of the last validation, by prompt; () if not recorded
            for histogram in results.histograms(cell, run.seed, "alpha"): ...       # by step

`read_several` takes a folder with such folders in it as well. Neither needs torch: a folder can be read anywhere.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from qstar_pl.errors import UserError
from qstar_pl.experiments.places import ANSWERS, CURVES, DISTRIBUTIONS, FIRST, RESULTS, SCHEMA, TIMES
from qstar_pl.experiments.report.contents import Answer as Answer
from qstar_pl.experiments.report.contents import Floats as Floats
from qstar_pl.experiments.report.contents import Histogram as Histogram
from qstar_pl.experiments.report.contents import Points as Points
from qstar_pl.experiments.report.contents import Run as Run
from qstar_pl.experiments.report.parquet_files import Groups, grouped, optional

Axis = Literal["step", "samples", "generated", "tokens", "seconds"]
WALL_S, RUN_S = "time/wall_s", "run/seconds"
_NUMBERS = ("step", "samples", "generated", "tokens", "value")
_ANSWER = ("step", "prompt", "key", "part", "prompt_text", "completion", "tokens", "reward_gold", "reward_proxy")
_BINS = ("step", "low", "high", "count")


@dataclass(frozen=True)
class Results:
    """One experiment, as far as it has come."""

    folder: Path
    name: str
    variant: str
    title: str
    question: str
    description: str
    budget: tuple[str, int] | None
    """(unit, amount): "samples", "generated" or "tokens"; None where each run had its own."""
    score: str
    """Metric that cells are ranked by; higher is better."""
    metrics: tuple[str, ...]
    """Others that are shown."""
    baseline: str
    """The cell that the others are held against."""
    comparisons: tuple[tuple[str, str], ...]
    """Further pairs of cells."""
    seeds: tuple[int, ...]
    runs: tuple[Run, ...]
    """One per cell and seed, seed by seed."""
    curves: Groups = field(repr=False)
    times: Groups = field(repr=False)
    recorded_answers: Groups | None = field(repr=False)
    """None where answers were not recorded."""
    distributions: Groups | None = field(repr=False)
    """None where they were not recorded."""
    earlier: Mapping[str, str] = field(default_factory=dict)
    """Cell → the cell, a stage that is no method of its own, from whose end it goes on."""

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of all cells, the baseline first, the others as in the file."""
        names = dict.fromkeys(run.cell for run in self.runs)
        return tuple(sorted(names, key=lambda name: name != self.baseline))

    @cached_property
    def _by_name(self) -> dict[tuple[str, int], Run]:
        return {(run.cell, run.seed): run for run in self.runs}

    def run(self, cell: str, seed: int) -> Run | None:
        """Return one run, None where there is none."""
        return self._by_name.get((cell, seed))

    def finished(self, cell: str) -> tuple[Run, ...]:
        """Return the runs of a cell that have ended, by seed."""
        return tuple(sorted((run for run in self.runs if run.cell == cell and run.is_finished), key=lambda r: r.seed))

    def factors(self, cell: str) -> Mapping[str, str]:
        """Return the levels of a cell."""
        return next(run.factors for run in self.runs if run.cell == cell)

    def classes(self, cell: str) -> Mapping[str, str]:
        """Return the classes of a cell's parts; see `Run.classes`."""
        return next(run.classes for run in self.runs if run.cell == cell)

    def keys(self, cell: str) -> tuple[str, ...]:
        """Return the metrics that a cell has logged, times among them, sorted."""
        found = {name[2] for groups in (self.curves, self.times) for name in groups if name[0] == cell}
        return tuple(sorted(found))

    def series(self, cell: str, seed: int, key: str, x: Axis = "samples") -> Points:
        """Return a metric of one run against what it had spent.

        Args:
            cell: name of the cell.
            seed: of the run.
            key: a metric, of curves.parquet or times.parquet.
            x: "step" (optimizer steps), "samples", "generated", "tokens" (as in budgets), or "seconds" of training
                without validation. All but steps count from the first of a run's stages.

        Returns:
            Its points by rising x, those of an unknown x left out; none if the metric was not logged.

        """
        if x not in get_args(Axis):
            raise UserError(f"x must be one of {', '.join(get_args(Axis))}, got {x}")
        columns = self.curves.get((cell, seed, key)) or self.times.get((cell, seed, key))
        if columns is None:
            return Points(np.empty(0), np.empty(0))
        steps = columns["step"].astype(np.float64)
        places = self._seconds(cell, seed, steps) if x == "seconds" else columns[x].astype(np.float64)
        if not np.isnan(places).all():  # nothing has been spent before the first step
            places = np.where((steps == 0) & np.isnan(places), 0.0, places)
        order = np.argsort(steps, kind="stable")
        # Where a metric was logged twice at a step, the last one counts.
        order = order[np.append(np.diff(steps[order]) > 0, True)] if len(order) else order
        order = order[~np.isnan(places[order])]
        return Points(places[order], columns["value"].astype(np.float64)[order])

    def _seconds(self, cell: str, seed: int, steps: Floats) -> Floats:
        clock = self.times.get((cell, seed, WALL_S))
        if clock is None:
            return np.full(len(steps), np.nan)
        known, first = np.unique(clock["step"].astype(np.float64), return_index=True)
        # Before the first step the clock may already show what it takes to read it; nothing has been spent.
        known, first = known[known > 0], first[known > 0]
        values = np.append(0.0, clock["value"].astype(np.float64)[first])
        spent: Floats = np.interp(steps, np.append(0.0, known), values, right=np.nan)
        return spent + self.seconds_before(cell, seed)

    def seconds_before(self, cell: str, seed: int) -> float:
        """Return the seconds of training that the stages before a run took; NaN where one of them is not known."""
        stage = self.earlier.get(cell)
        if stage is None:
            return 0.0
        clock = self.times.get((stage, seed, WALL_S))
        own = np.nan if clock is None else float(clock["value"][np.argmax(clock["step"])])
        return self.seconds_before(stage, seed) + own

    def answers(self, cell: str, seed: int, *, first: bool = False) -> tuple[Answer, ...]:
        """Return a run's held-out answers by prompt: of the last validation, or of that before the first step."""
        columns = (self.recorded_answers or {}).get((cell, seed))
        if columns is None or (first and 0 not in columns["step"]):
            return ()
        step = 0 if first else int(columns["step"].max())
        rows = np.flatnonzero(columns["step"] == step)
        rows = rows[np.argsort(columns["prompt"][rows], kind="stable")]
        return tuple(_answer(cell, seed, {name: columns[name][row] for name in _ANSWER}) for row in rows)

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The parts of the mixture that the held-out data are, sorted; none of a single dataset."""
        columns = (self.recorded_answers or {}).values()
        return tuple(sorted({part for one in columns for part in one["part"].tolist() if part is not None}))

    @property
    def scored_part(self) -> str | None:
        """The part whose score cells are ranked by; None: all that is held out."""
        return self.part_of(self.score)

    def part_of(self, score: str) -> str | None:
        """Return the part whose score a key names; of parts called by paths, one may end as another is called."""
        return max((part for part in self.parts if score.endswith(f"/{part}")), key=len, default=None)

    def score_of(self, part: str | None) -> str:
        """Return the key of the score of one part, or of all that is held out."""
        return self.key_of(self.score.removesuffix(f"/{self.scored_part}"), part)

    def key_of(self, key: str, part: str | None) -> str:
        """Return the key under which a metric of one part stands, or that of all that is held out."""
        return key if part is None else f"{key}/{part}"

    def histograms(self, cell: str, seed: int, quantity: str) -> tuple[Histogram, ...]:
        """Return a run's distributions of "alpha" (per token) or "log_weights" (per answer, raw, nats), by step."""
        columns = (self.distributions or {}).get((cell, seed, quantity))
        if columns is None:
            return ()
        found = []
        for step in np.unique(columns["step"]):
            rows = columns["step"] == step
            low, high, count = (columns[name][rows].astype(np.float64) for name in ("low", "high", "count"))
            order = np.argsort(low, kind="stable")
            found.append(Histogram(int(step), low[order], high[order], count[order]))
        return tuple(found)


def read_several(path: Path) -> tuple[Results, ...]:
    """Return the experiment in a folder, or all those in the folders right below it: `FIRST`, then by folder name.

    Raises:
        UserError: if there is none, or one cannot be read.

    """
    if (path / RESULTS).is_file():
        return (read_results(path),)
    folders = sorted(file.parent for file in path.glob(f"*/{RESULTS}")) if path.is_dir() else []
    if not folders:
        raise UserError(f"{path} must hold {RESULTS}, or folders with it, as `qstar experiment` writes them")
    found = map(read_results, folders)
    return tuple(sorted(found, key=lambda one: FIRST.index(one.name) if one.name in FIRST else len(FIRST)))


def read_results(folder: Path) -> Results:
    """Return what a folder holds.

    Raises:
        UserError: that names the file which is missing, damaged or of another schema.

    """
    file = folder / RESULTS
    found = _json(file)
    try:
        about, budget, report = found["experiment"], found["budget"], found["report"]
        times = grouped(folder / TIMES, ("cell", "seed", "key"), _NUMBERS) if (folder / TIMES).exists() else {}
        return Results(
            folder=folder,
            name=_name(about["name"]),
            variant=_name(about["variant"]),
            title=str(about["title"]),
            question=str(about["question"]),
            description=str(about["description"]),
            budget=None if budget is None else (str(budget["unit"]), int(budget["amount"])),
            score=str(found["evaluation"]["score"]),
            metrics=tuple(map(str, found["evaluation"]["metrics"])),
            baseline=str(report["baseline"]),
            comparisons=tuple((str(one), str(other)) for one, other in report["comparisons"]),
            seeds=tuple(map(int, found["seeds"])),
            runs=_runs(found["runs"], times),
            curves=grouped(folder / CURVES, ("cell", "seed", "key"), _NUMBERS),
            times=times,
            recorded_answers=optional(folder / ANSWERS, ("cell", "seed"), _ANSWER),
            distributions=optional(folder / DISTRIBUTIONS, ("cell", "seed", "quantity"), _BINS),
            earlier=_earlier((*found["runs"], *found.get("stages", ()))),
        )
    except UserError:
        raise
    except KeyError as error:
        raise UserError(f"{file} must hold {error.args[0]!r}, which is not there") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(f"{file} must be as `qstar experiment` writes it, got a damaged file: {error}") from error


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{file} must exist, as `qstar experiment` writes it") from error
    except OSError as error:
        raise UserError(f"{file} must be readable: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} must be JSON, got a damaged file: {error}") from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        got = found.get("schema") if isinstance(found, dict) else type(found).__name__
        raise UserError(f"{file} must be of schema {SCHEMA}, got {got}")
    return found


def _name(value: Any) -> str:
    """Return the name of an experiment or a variant: folders are called by it, so it must not lead elsewhere."""
    name = str(value)
    if not name or name.startswith(".") or any(mark in name for mark in "/\\\0"):
        raise ValueError(f"experiment must have a name and a variant without / and without a dot first, got {name!r}")
    return name


def _runs(rows: Sequence[Mapping[str, Any]], times: Groups) -> tuple[Run, ...]:
    runs = tuple(_run(one, times) for one in rows)
    twice = [key for key, count in Counter((run.cell, run.seed) for run in runs).items() if count > 1]
    if twice:
        raise ValueError(f"runs must have each seed of a cell once, got {twice[0][0]}, seed {twice[0][1]} again")
    return runs


def _run(one: Mapping[str, Any], times: Groups) -> Run:
    cell, seed = str(one["cell"]), int(one["seed"])
    started = times.get((cell, seed, RUN_S))
    return Run(
        cell=cell,
        seed=seed,
        factors=_texts(one["factors"]),
        classes=_texts(one.get("classes") or {}),
        status=str(one["status"]),
        reason=str(one["reason"]),
        off_budget=str(one["off_budget"]),
        spent=_numbers(one["spent"]),
        before=_numbers(one["before"]),
        after=_numbers(one["after"]),
        held_out=str(one["held_out"]),
        command=str(one["command"]),
        folder=str(one["folder"]),
        code=str(one["code"]),
        seconds=None if started is None else float(started["value"][-1]),
    )


def _earlier(runs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {str(one["cell"]): str(one["starts_from"]) for one in runs if one.get("starts_from")}


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in values.items()}


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {str(key): float("nan") if value is None else float(value) for key, value in values.items()}


def _answer(cell: str, seed: int, row: Mapping[str, Any]) -> Answer:
    gold, proxy = (None if np.isnan(row[name]) else float(row[name]) for name in ("reward_gold", "reward_proxy"))
    return Answer(
        cell,
        seed,
        int(row["step"]),
        int(row["prompt"]),
        str(row["prompt_text"]),
        str(row["completion"]),
        int(row["tokens"]),
        gold,
        proxy,
        row["key"],
        row["part"],
    )
