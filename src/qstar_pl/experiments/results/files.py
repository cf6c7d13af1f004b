"""Writes results.json and the tables beside it.

All but times.parquet are the same, byte for byte, however often the experiment was killed and started again; what
differs (seconds, memory, how often it was started) is in that one alone. Schema 1:

results.json
    schema      1
    experiment  name, variant, title, question, description
    budget      {unit: "samples" | "generated" | "tokens", amount}; null for configurations given by hand
    evaluation  {score, metrics}: keys of `before` and `after`; higher scores are better
    report      {baseline, comparisons: [[cell, cell], …]}
    seeds       [0, 1, …]
    runs        one per cell and seed, seed by seed:
        cell, seed, factors {method, <axis>: <level>}
        classes     {model, sampler, alpha, target, weights}: the class of each part that it has
        status      "finished" | "failed" | "unfinished"; reason: why it failed, else ""
        off_budget  "" or where it ended instead
        spent       {steps, samples, generated, tokens} at its end; but for steps, with the stages before it
        before      val/… before the first step; after: of the last one, empty unless finished
        held_out    the same text for runs with the same held-out prompts
        origin      "" or where it was run, if it was taken over: "<results folder>/cells/<cell>/seed_<n>"
        starts_from  null or the cell among `stages` from whose last checkpoint it starts
        command     repeats it; folder: beside this file; digest: of its settings; code: version that ran it
    stages      the same of cells that others start from, and that are compared with nothing
    tuning      null, or {option, factors, seeds, cells}: a sweep, whose runs are not among `runs`; for each cell
        cell, tuned: name of the cell that is run with what won
        shared      the cell's own value
        chosen      {factor, value}; null before the sweep has ended; remark: failures and ties, or ""
        tries       one per factor: factor, value, score (mean over the seeds, or null),
                    runs [{seed, status, reason, off_budget, spent, after, origin, command, folder, digest, code}]

curves.parquet, times.parquet: a line per number that was logged
    cell, seed, step, samples, generated, tokens (spent at that step, and by the stages before; null before the first
    count), key, value

answers.parquet: a line per held-out prompt, of the validation before the first step and of the last one so far
    cell, seed, step
    prompt        its number within the held-out set
    key           of the prompt, the same in all runs wherever it stands; null of runs that did not keep it yet
    part          of a mixture that the prompt belongs to; null of a single dataset
    prompt_text, completion
    tokens        of the completion, its end included
    reward_gold, reward_proxy  null where there is none

distributions.parquet: a line per bin and log window; no lines of runs that draw no answers
    cell, seed, step (end of the window)
    quantity      "alpha", of each token, or "log_weights", log π_θ/q of each answer, raw, in nats
    low, high     edges of the bin, which holds the lower one; infinite where it is open
    count         over all micro-steps and ranks of the window, 0 included
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from qstar_pl.experiments.curve import STEP
from qstar_pl.experiments.matrix import Experiment
from qstar_pl.experiments.matrix.experiment import KEY, UNITS
from qstar_pl.experiments.places import ANSWERS, CURVES, DISTRIBUTIONS, RESULTS, SCHEMA, TIMES
from qstar_pl.experiments.results.kept import answers_of, distributions_of
from qstar_pl.experiments.results.outcome import Outcome, is_time
from qstar_pl.files import replacing, write_text
from qstar_pl.run_folders.metrics import NOT_METRICS

STARTED_S = "run/seconds"
"""In times.parquet, at a run's last step: wall time of its last start, with loading and validation."""
OF_RUN: Mapping[str, str] = {"cell": "name", "seed": "whole", "step": "whole"}
OF_NUMBER: Mapping[str, str] = {**OF_RUN, **dict.fromkeys(UNITS, "number"), "key": "name", "value": "number"}
OF_ANSWERS: Mapping[str, str] = {
    **OF_RUN,
    "prompt": "whole",
    **dict.fromkeys(("key", "part"), "name"),
    **dict.fromkeys(("prompt_text", "completion"), "text"),
    "tokens": "whole",
    **dict.fromkeys(("reward_gold", "reward_proxy"), "number"),
}
OF_BINS: Mapping[str, str] = {**OF_RUN, "quantity": "name", "low": "number", "high": "number", "count": "whole"}
"""Column → what it holds, of each table."""


def write_results(
    experiment: Experiment, outcomes: Sequence[Outcome], folder: Path, tuning: Mapping[str, Any] | None = None
) -> None:
    """Write all files, each whole or not at all."""
    write_text(folder / RESULTS, as_json(experiment, outcomes, tuning))
    rows = [row for one in outcomes for row in _rows(one)]
    _write_table([row for row in rows if not is_time(row[-2])], OF_NUMBER, folder / CURVES)
    _write_table([row for row in rows if is_time(row[-2])] + _starts(outcomes), OF_NUMBER, folder / TIMES)
    _write_table([row for one in outcomes for row in answers_of(one)], OF_ANSWERS, folder / ANSWERS)
    _write_table([row for one in outcomes for row in distributions_of(one)], OF_BINS, folder / DISTRIBUTIONS)


def as_json(experiment: Experiment, outcomes: Sequence[Outcome], tuning: Mapping[str, Any] | None = None) -> str:
    """Return results.json; a number that is NaN or infinite is null."""
    budget = experiment.budget
    found = {
        "schema": SCHEMA,
        "experiment": {
            name: getattr(experiment, name) for name in ("name", "variant", "title", "question", "description")
        },
        "budget": None if budget is None else {"unit": budget.unit, "amount": budget.amount},
        "evaluation": {"score": experiment.evaluation.score, "metrics": list(experiment.evaluation.metrics)},
        "report": {
            "baseline": experiment.baseline,
            "comparisons": [list(one) for one in experiment.report.comparisons],
        },
        "seeds": sorted({one.run.seed for one in outcomes}),
        "runs": [as_record(one) for one in outcomes if not one.run.cell.is_stage],
        "stages": [as_record(one) for one in outcomes if one.run.cell.is_stage],
        "tuning": tuning,
    }
    return json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_record(one: Outcome) -> dict[str, Any]:
    """Return a run as results.json has it."""
    run = one.run
    asked = run.folder.asked
    return {
        "cell": run.cell.name,
        "seed": run.seed,
        "factors": dict(run.cell.factors),
        "classes": run.settings.classes,
        "status": one.status,
        "reason": one.reason,
        "off_budget": one.off_budget,
        "spent": _finite(one.spent),
        "before": _finite(one.before),
        "after": _finite(one.after),
        "held_out": run.settings.held_out,
        "origin": "" if asked is None else asked.origin,
        "command": run.command,
        "starts_from": run.cell.after,
        "folder": run.folder.path.relative_to(run.folder.output).as_posix(),
        "digest": run.settings.digest,
        "code": run.code if asked is None else asked.code,
    }


def _finite(values: Any) -> dict[str, float | None]:
    return {key: value if math.isfinite(value) else None for key, value in sorted(values.items())}


Row = tuple[str, int, int, float | None, float | None, float | None, str, float]


def _rows(one: Outcome) -> Iterator[Row]:
    before = one.started_at
    spent: dict[str, float | None] = {unit: before.get(unit) for unit in UNITS}
    for row in one.metrics.rows:
        if STEP not in row:
            continue
        spent |= {unit: before.get(unit, 0) + row[f"{unit}{KEY}"] for unit in UNITS if f"{unit}{KEY}" in row}
        at = (one.run.cell.name, one.run.seed, int(row[STEP]), *_three(spent))
        for key, value in sorted(row.items()):
            if key not in NOT_METRICS:
                yield (*at, key, value)


def _starts(outcomes: Sequence[Outcome]) -> list[Row]:
    rows = list[Row]()
    for one in outcomes:
        seconds = one.run.folder.seconds()
        if seconds is not None:
            at = (one.run.cell.name, one.run.seed, int(one.spent.get("steps", 0)), *_three(one.spent))
            rows.append((*at, STARTED_S, seconds))
    return rows


def _three(spent: Mapping[str, float | None]) -> tuple[float | None, float | None, float | None]:
    first, second, third = (spent.get(unit) for unit in UNITS)
    return first, second, third


def _write_table(rows: Sequence[Sequence[Any]], columns: Mapping[str, str], file: Path) -> None:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import parquet

    kinds = {
        "name": pa.dictionary(pa.int32(), pa.string()),
        "text": pa.string(),
        "whole": pa.int64(),
        "number": pa.float64(),
    }
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    values = list(zip(*rows, strict=True)) or [()] * len(schema)
    table = pa.table([pa.array(column, field.type) for column, field in zip(values, schema, strict=True)], schema)
    with replacing(file) as beside:
        parquet.write_table(table, beside, compression="zstd")
