"""Evaluations that are killed in every stage: `python killed_evaluation.py <folder>`, in a process of its own.

Everything is imported once; each run is a fork, so that a kill takes what SIGKILL takes. Leaves the folders reference,
killed (killed once in each stage, each time by the next run), batches (decoded in other batches) and ranks (begun by
one process, ended by two), and prints in which stages a kill came.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import scipy.stats  # noqa: F401 (imported once, here)
import statsmodels.stats.multitest  # noqa: F401
import torch
from reference.killed_generation import begin_two_ranks, fork, wait
from small_evaluation import run_small

import qstar_pl.evaluating.run as evaluating
from qstar_pl.evaluating.stages import judging, scoring
from qstar_pl.generation.shard import Shard


def run(output: Path, **changes: Any) -> None:
    with redirect_stdout(io.StringIO()):
        run_small(output, **changes)


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dies_in_shard(output: Path, place: str) -> None:
    """Run until the second batch or chunk of a place is to be written, and die in the middle of its line."""
    append, seen = Shard.append, []

    def torn(self: Shard, batch: int, *rows: Any) -> None:
        seen.extend([batch] if place in str(self.path) else [])
        if len(seen) < 2:
            append(self, batch, *rows)
            return
        with self.path.open("ab") as file:
            file.write(b'{"batch": 1, "row": 3, "rec')
        die()

    Shard.append = torn  # in this process, which is a fork
    run(output)


def dies_at(output: Path, function: str) -> None:
    setattr(evaluating, function, die)
    run(output)


def dies_before_results(output: Path) -> None:
    """Run until results.json, the last file, is to be written."""
    replace_file = evaluating.replace_file

    def replace(path: Path, data: bytes) -> None:
        if path.name == "results.json":
            die()
        replace_file(path, data)

    evaluating.replace_file = replace
    run(output)


def is_killed(name: str, end: Callable[[], None]) -> bool:
    """Start a run that is to be killed; once more if it ended otherwise, as it did once in some seventy times."""
    for _ in range(2):
        status = os.waitpid(fork(end), 0)[1]
        if status == signal.SIGKILL:
            return True
        print(f"{name}: the process ended with status {status}", file=sys.stderr)
    return False


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    scoring.CHUNK = judging.CHUNK = 16
    run(folder / "reference")  # here, which also imports what is imported late
    killed = folder / "killed"
    ends = {
        "answers": lambda: dies_in_shard(killed, "answers.jsonl.work"),
        "baseline": lambda: dies_in_shard(killed, "baseline.jsonl.work"),
        "scores": lambda: dies_in_shard(killed, "work/scores"),
        "judging": lambda: dies_in_shard(killed, "work/verdicts"),
        "statistics": lambda: dies_at(killed, "report_of"),
        "files": lambda: dies_before_results(killed),
    }
    died = [name for name, end in ends.items() if is_killed(name, end)]
    wait(fork(lambda: run(killed)))
    wait(fork(lambda: run(folder / "batches", batch_size=5)))
    ranks = folder / "ranks"
    os.waitpid(fork(lambda: dies_in_shard(ranks, "work/scores")), 0)
    for child in begin_two_ranks(lambda: run(ranks, launch={"devices": 2, "strategy": "ddp"})):
        wait(child)
    print(json.dumps(died))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
