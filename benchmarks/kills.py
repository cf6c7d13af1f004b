"""SIGKILL at named moments of training, the same command again, and the same bits at the end.

Run as `python benchmarks/kills.py [--kills 30] [--seed 0] [--jobs 1]`, or `just bench kills`. For each method and
number of processes, one run of 60 steps is left alone and one is killed again and again, each time further on: while it
starts, in a rollout, in a backward pass, before an optimizer step, in a validation and in the last one, while a
checkpoint is written, before it is renamed and before the one that it replaces is removed, while metrics.csv is
appended to or rewritten, and before the run says that it is complete; all its processes at once, or one of two. The
process kills itself, so no moment is missed, and runs are forked from one process that has loaded the libraries, so a
kill costs seconds. Prints one line per kill, then for each run whether the final weights, the optimizer's state,
metrics.csv (clocks aside) and the names of the files are those of the run left alone, and a table of the moments. Exit
code 1 if any of it is not.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from killing.aim import ANYWHERE, MOMENTS, Kill
from killing.run import METHODS, STEPS, Run

LAST = ("last validation", "end")


def _difference(ours: list[dict[str, str]], theirs: list[dict[str, str]]) -> str:
    """Return where two metrics.csv part, for whoever has to find out why."""
    for number, (our, their) in enumerate(zip(ours, theirs, strict=False)):
        if keys := [key for key in sorted(their) if our.get(key) != their[key]]:
            values = ", ".join(f"{key} {our.get(key)} instead of {their[key]}" for key in keys[:4])
            return f"  row {number}, step {their.get('step')}: {len(keys)} metrics differ: {values}"
    return f"  {len(ours)} rows instead of {len(theirs)}"


def plan(count: int, processes: int, numbers: random.Random) -> list[Kill]:
    """Return the kills of one run, each further on than the one before; all moments, then again."""
    order = list[str]()
    while len(order) < count:
        order += numbers.sample(MOMENTS, len(MOMENTS))
    moments = sorted(order[:count], key=lambda moment: LAST.index(moment) + 1 if moment in LAST else 0)
    steps = sorted(numbers.randrange(STEPS - 6) for _ in moments)
    kills = []
    for moment, step in zip(moments, steps, strict=True):
        whom = "all" if processes == 1 or moment == "start-up" else numbers.choice(["all", "rank 0", "rank 1"])
        whom = "rank 0" if whom == "rank 1" and moment not in ANYWHERE else whom
        kills.append(Kill(moment, 0 if moment in LAST else step, whom, numbers.random()))
    return kills


@dataclass(frozen=True)
class Share:
    """One method on one or two processes, and how often it is killed."""

    method: str
    processes: int
    kills: int
    seed: int
    folder: Path

    @property
    def name(self) -> str:
        """What it is called in the table."""
        return f"{self.method} {self.processes}"

    def run(self) -> Outcome:
        """Run it alone, then killed and killed again; say what became of each kill."""
        folder = self.folder / self.name.replace("*", "_star").replace(" ", "_")
        (folder / "alone").mkdir(parents=True)
        (folder / "killed").mkdir()
        alone, killed = (Run(self.method, self.processes, folder / name) for name in ("alone", "killed"))
        alone.finish()
        # Its own numbers, so that they do not depend on what runs beside it.
        for kill in plan(self.kills, self.processes, random.Random(f"{self.seed} {self.name}")):
            killed.go(kill)
            hit = not killed.complete()
            killed.kills[kill.moment] += hit
            result = "killed" if hit else "not killed: it had ended before"
            say(
                f"{self.method:4} {self.processes} process(es): step {kill.step:2} {kill.moment}, {kill.whom}: {result}"
            )
        killed.finish()
        ours, theirs = killed.weights(), alone.weights()
        same = (
            ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in theirs),
            killed.metrics() == alone.metrics(),
            killed.files() == alone.files(),
        )
        if not same[1]:
            say(_difference(killed.metrics(), alone.metrics()))
        if not same[2]:
            say(f"  files: {sorted(killed.files() ^ alone.files())}")
        return Outcome(self, killed.kills, len(theirs), same)


@dataclass(frozen=True)
class Outcome:
    """What a share ended in."""

    share: Share
    kills: Counter[str]
    tensors: int
    same: tuple[bool, bool, bool]
    """Weights with the optimizer's state, metrics.csv, names of files."""

    def __str__(self) -> str:
        verdicts = "  ".join(f"{'same' if one else 'DIFFER':9}" for one in self.same)
        share = self.share
        return f"{share.method:7}{share.processes:>10}{self.kills.total():>7}{self.tensors:>9}  {verdicts}"


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


def campaign(kills: int, seed: int, jobs: int, folder: Path) -> int:
    """Run everything; return the number of runs that differ."""
    kinds = [(method, processes) for processes in (1, 2) for method in METHODS]
    counts = [kills // len(kinds) + (index < kills % len(kinds)) for index in range(len(kinds))]
    shares = [Share(*kind, count, seed, folder) for kind, count in zip(kinds, counts, strict=True)]
    outcomes = list[Outcome]()
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("fork")) as pool:
        for outcome in pool.map(Share.run, shares):
            say(str(outcome))
            outcomes.append(outcome)
    say(f"\n{'kills':28}" + "".join(f"{share.name:>7}" for share in shares))
    for moment in MOMENTS:
        say(f"{moment:28}" + "".join(f"{outcome.kills[moment]:>7}" for outcome in outcomes))
    say(f"\n{'method':7}{'processes':>10}{'kills':>7}{'tensors':>9}  weights    metrics    files")
    for outcome in outcomes:
        say(str(outcome))
    wrong = sum(not all(outcome.same) for outcome in outcomes)
    say(f"{sum(one.kills.total() for one in outcomes)} kills, seed {seed}, {wrong} of {len(outcomes)} runs differ")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill training runs at named moments and compare what they end in.")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="runs of different methods side by side")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    print(f"commit {head.stdout.strip() or 'unknown'}, {arguments.kills} kills, seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        return int(campaign(arguments.kills, arguments.seed, arguments.jobs, Path(folder)) > 0)


if __name__ == "__main__":
    sys.exit(main())
