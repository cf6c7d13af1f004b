"""The rows that a report reads, and files of them that take little room.

- curves and times: finished runs, and of them the metrics in `read_metrics`. Tokens that had been spent stand beside
  what is held out alone, and the clock only where the score was measured and at the end. Of stages that others go on
  from, the clock at their end.
- answers: the last validation of finished runs. Texts only of the prompts that the page shows, at the seed that it
  shows, before training as well; elsewhere they are empty. Proxy rewards only where they are compared.
- distributions: a line for each bin, its counts summed over the log windows that histograms are drawn from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from qstar_pl.experiments.report.figures.distributions import late
from qstar_pl.experiments.report.page.answers import chosen
from qstar_pl.experiments.report.reading import RUN_S, WALL_S, Answer, Results
from qstar_pl.experiments.report.tables.comparison import KINDS
from qstar_pl.experiments.report.tables.measures.win_rate import PROXY

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

LOGGED = (
    "alpha/mean",
    "alpha/std",
    "ess/policy",
    "ess/ratio",
    "ess/target",
    "grad/noise_scale",
    "grad/snr",
    "grad/variance",
    "weights/ess_fraction",
    WALL_S,
    RUN_S,
)
"""Metrics of training that tables, verdicts and figures are made of; they are drawn over samples alone."""
QUANTITIES = ("alpha", "log_weights")
Columns = Mapping[str, str]
_OF_RUN: Columns = {"cell": "string", "seed": "int64", "step": "int64"}
_OF_NUMBER: Columns = {
    **_OF_RUN,
    **dict.fromkeys(("samples", "generated", "tokens"), "float64"),
    "key": "string",
    "value": "float64",
}
_OF_ANSWER: Columns = {
    **_OF_RUN,
    "prompt": "int64",
    **dict.fromkeys(("key", "part"), "string"),
    **dict.fromkeys(("prompt_text", "completion"), "string"),
    "tokens": "int64",
    **dict.fromkeys(("reward_gold", "reward_proxy"), "float64"),
}
_OF_BIN: Columns = {
    **_OF_RUN,
    "quantity": "string",
    **dict.fromkeys(("low", "high"), "float64"),
    "count": "int64",
}
"""Column → its type, of each table."""


def read_metrics(results: Results) -> tuple[str, ...]:
    """Return the metrics that a report reads from curves.parquet and times.parquet."""
    return tuple(dict.fromkeys((results.score, *results.metrics, *LOGGED)))


def numbers(results: Results, name: str) -> pa.Table:
    """Return the rows of curves.parquet or times.parquet that a report reads, like numbers beside each other.

    Args:
        results: of the experiment.
        name: of the file.

    """
    from pyarrow import parquet

    clock = {(run.cell, run.seed): _seen(results, run.cell, run.seed) for run in results.runs if run.is_finished}
    stages = [(stage, seed) for stage in results.earlier.values() for seed in results.seeds]
    ends = {run: int(steps.max()) for run in stages if len(steps := results.series(*run, WALL_S, "step").x)}
    metrics = read_metrics(results)
    kept = []
    for row in parquet.read_table(results.folder / name, columns=list(_OF_NUMBER)).to_pylist():
        run = (row["cell"], row["seed"])
        read = row["key"] in metrics and run in clock and (row["key"] != WALL_S or row["step"] in clock[run])
        if read or (row["key"] == WALL_S and row["step"] == ends.get(run)):
            spent = {"generated": None, "tokens": None} if row["key"] in LOGGED else {}
            kept.append({**row, **spent})
    kept.sort(key=lambda row: (row["cell"], row["key"], row["seed"]))  # what was logged later stays behind
    return _table([tuple(row.values()) for row in kept], _OF_NUMBER)


def _seen(results: Results, cell: str, seed: int) -> Set[int]:
    """Return the steps of a run at which the clock is read: those around each measured score, and the last one."""
    clock = results.series(cell, seed, WALL_S, "step").x
    score = results.series(cell, seed, results.score, "step").x
    before, after = np.searchsorted(clock, score, "right") - 1, np.searchsorted(clock, score)
    around = {*before.tolist(), *after.tolist(), len(clock) - 1}
    return {int(clock[place]) for place in around if 0 <= place < len(clock)}


def answers(results: Results) -> pa.Table:
    """Return the answers that a report compares or shows."""
    seed, shown = chosen(results)
    ended = [run for run in results.runs if run.is_finished]
    last = [one for run in ended for one in results.answers(run.cell, run.seed)]
    first = [one for run in ended if run.seed == seed for one in results.answers(run.cell, run.seed, first=True)]
    with_proxy = KINDS.get(results.score_of(None)) == PROXY or any(one.reward_gold is None for one in last)
    trained = {one.cell for one in last if one.seed == seed and one.step > 0}
    rows = [_answer(one, one.seed == seed and _is_shown(one, shown), with_proxy) for one in last]
    rows += [_answer(one, True, with_proxy) for one in first if _is_shown(one, shown) and one.cell in trained]
    return _table(rows, _OF_ANSWER)


def _is_shown(one: Answer, shown: Sequence[Answer]) -> bool:
    return any(one.is_to_prompt_of(other) for other in shown)


def _answer(one: Answer, has_text: bool, with_proxy: bool) -> tuple[Any, ...]:
    texts = (one.prompt_text, one.completion) if has_text else ("", "")
    proxy = one.reward_proxy if with_proxy else None
    return (one.cell, one.seed, one.step, one.prompt, one.key, one.part, *texts, one.tokens, one.reward_gold, proxy)


def bins(results: Results) -> pa.Table:
    """Return a histogram of each finished run and quantity."""
    return _table(list(_bins(results)), _OF_BIN)


def _bins(results: Results) -> Iterator[tuple[Any, ...]]:
    for run in results.runs:
        for quantity in QUANTITIES if run.is_finished else ():
            recorded = late(results.histograms(run.cell, run.seed, quantity))
            sums = dict[tuple[float, float], int]()
            for one in recorded:
                for low, high, count in zip(one.low.tolist(), one.high.tolist(), one.count.tolist(), strict=True):
                    sums[low, high] = sums.get((low, high), 0) + int(count)
            for (low, high), count in sums.items():
                yield run.cell, run.seed, recorded[-1].step, quantity, low, high, count


def _table(rows: Sequence[tuple[Any, ...]], columns: Columns) -> pa.Table:
    import pyarrow as pa

    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    return pa.table({name: pa.array(one, columns[name]) for name, one in zip(columns, values, strict=True)})


def write(table: pa.Table, file: Path) -> None:
    """Write a table as small as parquet can have it."""
    from pyarrow import parquet

    mixed = [name for name in table.column_names if name == "value"]  # hardly a number comes twice
    parquet.write_table(
        table,
        file,
        compression="zstd",
        compression_level=19,
        use_dictionary=[name for name in table.column_names if name not in mixed],
        use_byte_stream_split=mixed,
        write_statistics=False,
    )
