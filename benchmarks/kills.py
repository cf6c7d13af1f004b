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
import contextlib
import csv
import functools
import io
import multiprocessing
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import Callback, Trainer

from qstar_pl import files
from qstar_pl.callbacks import default_diagnostics
from qstar_pl.checkpoints import AtomicCheckpointIO
from qstar_pl.cli import main as qstar
from qstar_pl.cli.runs import metrics_file
from qstar_pl.run_folders.finished import Finished

STEPS = 60
EVERY_COLUMN = 7
"""Steps between two new columns of metrics.csv: each rewrites the file."""
ANYWHERE = ("rollout", "backward", "optimizer step", "validation", "last validation")
"""Moments that every process has; the others are the first one's."""
MOMENTS = (
    "start-up",
    *ANYWHERE,
    "checkpoint half written",
    "checkpoint not renamed",
    "old checkpoint not removed",
    "metrics.csv",
    "end",
)
LAST = ("last validation", "end")
CLOCKS = ("time/", "tokens/per_s", "samples/per_s", "memory/")
METHODS = {
    "q*": ("tiny_q_star", ["--model.samples_per_prompt=2", "--model.sampler.max_new_tokens=8"]),
    "PPO": ("tiny_ppo", ["--model.samples_per_prompt=2", "--model.sampler.max_new_tokens=8"]),
    "DPO": ("tiny_dpo", ["--data.batch_size=8"]),
}
LIMIT_S = 900
"""Longest time of one process, s."""


@dataclass(frozen=True)
class Kill:
    """Where a run is to be killed."""

    moment: str
    step: int
    """The first time that this moment comes when so many steps have been taken."""
    whom: str
    """all, rank 0 or rank 1."""
    variant: float
    """In [0, 1): before or after, or how long after the beginning."""

    def now(self) -> None:
        """Do it."""
        if self.whom == "all":
            os.killpg(0, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


class Watch(Callback):
    """Kills its process at a moment; and logs a new column of metrics now and then, also where nothing is killed."""

    def __init__(self, kill: Kill | None) -> None:
        self.kill = kill
        self.step = 0

    def at(self, moment: str) -> bool:
        """Return whether this is the moment."""
        return self.kill is not None and self.kill.moment == moment and self.step >= self.kill.step

    def reach(self, moment: str) -> None:
        """Kill if it is."""
        if self.at(moment):
            assert self.kill is not None
            self.kill.now()

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        self.step = trainer.global_step
        if self.at("rollout") and self.kill is not None:
            threading.Timer(0.2 * self.kill.variant, self.kill.now).start()

    def on_before_backward(self, *_: Any) -> None:
        self.reach("backward")

    def on_before_optimizer_step(self, *_: Any) -> None:
        self.reach("optimizer step")

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        before, self.step = self.step, trainer.global_step
        if self.step // EVERY_COLUMN > before // EVERY_COLUMN:
            for logger in trainer.loggers:
                logger.log_metrics({f"column/{self.step // EVERY_COLUMN}": 1.0}, self.step)

    def on_validation_batch_start(self, trainer: Trainer, *_: Any) -> None:
        self.step = trainer.global_step
        self.reach("validation")
        if trainer.global_step >= trainer.max_steps:
            self.reach("last validation")


def aim(kill: Kill | None) -> None:
    """Make this process, forked for one run, watch for the moment of its death."""
    watch = Watch(kill)
    fit, save, append = Trainer.fit, torch.save, metrics_file.MetricsFile._append
    write, replacing, mark = AtomicCheckpointIO.save_checkpoint, files.replacing, Finished.write

    @functools.wraps(fit)
    def watched(trainer: Trainer, *args: Any, **options: Any) -> None:
        trainer.callbacks.insert(0, watch)  # type: ignore[attr-defined]
        fit(trainer, *args, **options)

    def save_half(contents: Any, path: Any, *args: Any, **options: Any) -> None:
        if watch.at("checkpoint half written") and kill is not None:
            whole = io.BytesIO()
            save(contents, whole)
            Path(path).write_bytes(whole.getvalue()[: int(kill.variant * whole.tell())])
            kill.now()
        save(contents, path, *args, **options)
        watch.reach("checkpoint not renamed")

    def written(self: Any, *args: Any, **options: Any) -> None:
        write(self, *args, **options)
        watch.reach("old checkpoint not removed")

    def append_half(self: Any) -> None:
        if watch.at("metrics.csv") and kill is not None and kill.variant < 0.5:
            text = metrics_file._text(self.metrics, self.metrics_keys)
            with self.path.open("a", newline="") as file:
                file.write(text[: int(2 * kill.variant * len(text))])
            kill.now()
        append(self)
        watch.reach("metrics.csv")

    @contextlib.contextmanager
    def rewriting(path: Path) -> Any:
        with replacing(path) as beside:
            yield beside
            if kill is not None and kill.variant < 0.5:
                watch.reach("metrics.csv")
        watch.reach("metrics.csv")

    def marking(self: Any, folder: Path) -> None:
        watch.reach("end")
        mark(self, folder)

    Trainer.fit = watched  # type: ignore[method-assign, assignment]
    torch.save = save_half  # type: ignore[assignment]
    AtomicCheckpointIO.save_checkpoint = written  # type: ignore[method-assign]
    metrics_file.MetricsFile._append = append_half  # type: ignore[method-assign]
    metrics_file.replacing = rewriting  # type: ignore[attr-defined]
    Finished.write = marking  # type: ignore[method-assign]
    if kill is not None and kill.moment == "start-up":
        threading.Timer(5.0 * kill.variant, kill.now).start()


@dataclass
class Run:
    """One training run, in a folder of its own."""

    method: str
    processes: int
    folder: Path
    kills: Counter[str] = field(default_factory=Counter)

    def words(self) -> list[str]:
        """Return the command, the same each time."""
        config, options = METHODS[self.method]
        return [
            "fit",
            f"--config=configs/experiment/{config}.yaml",
            *options,
            "--ckpt_path=auto",
            f"--trainer={self._trainer()}",
        ]

    def _trainer(self) -> Path:
        """Write the trainer's configuration: every diagnostic, a checkpoint after every third step, validations."""
        checkpoint = {"every_n_train_steps": 3, "save_last": True, "save_top_k": 1}
        callbacks: list[Any] = [
            {"class_path": f"qstar_pl.callbacks.{type(one).__name__}"} for one in default_diagnostics()
        ]
        callbacks += [{"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": checkpoint}]
        settings = {
            "accelerator": "cpu",
            "devices": self.processes,
            **({"strategy": "fsdp2"} if self.processes > 1 else {}),
            "max_steps": STEPS,
            "val_check_interval": 5,
            "check_val_every_n_epoch": None,
            "limit_val_batches": 1,
            "num_sanity_val_steps": 0,
            "log_every_n_steps": 2,
            "enable_progress_bar": False,
            "callbacks": callbacks,
        }
        path = self.folder / "trainer.yaml"
        path.write_text(yaml.safe_dump(settings))
        return path

    def go(self, kill: Kill | None = None) -> None:
        """Run it, or go on with it, until it ends or is killed."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        group, pids = 0, list[int]()
        for rank in range(self.processes):
            # With two the first one dies for both, unless it is said who does.
            mine = kill if kill is not None and rank == (kill.whom == "rank 1") else None
            pid = os.fork()
            if pid == 0:
                self._become(rank, port, group, mine)
            group = group or pid
            pids.append(pid)
        ended: set[int] = set()
        end = time.monotonic() + LIMIT_S
        try:
            while len(ended) < len(pids) and time.monotonic() < end:
                for pid in pids:
                    if pid not in ended and os.waitpid(pid, os.WNOHANG) != (0, 0):
                        ended.add(pid)
                        # Where only one process was killed, the other must find out and end.
                        end = min(end, time.monotonic() + 60) if kill is not None else end
                time.sleep(0.02)
        finally:
            for pid in set(pids) - ended:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

    def _become(self, rank: int, port: int, group: int, kill: Kill | None) -> None:
        code = 70
        try:
            os.setpgid(0, group)
            log = os.open(self.folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.chdir(self.folder)
            if self.processes > 1:
                os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), NODE_RANK="0")
                os.environ.update(WORLD_SIZE=str(self.processes), LOCAL_RANK=str(rank))
            aim(kill)
            code = qstar(self.words())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def complete(self) -> bool:
        """Return whether the run says so."""
        return bool(list(self.folder.glob("runs/*/version_*/checkpoints/finished.json")))

    def finish(self) -> None:
        """Let it run to its end."""
        self.go()
        if not self.complete():
            said = (self.folder / "log").read_text(errors="replace")[-3000:]
            raise SystemExit(f"a run has not come to its end; the end of {self.folder / 'log'}:\n{said}")

    def _last(self) -> Path:
        # A run killed before its first checkpoint begins anew, in the next folder.
        return max(self.folder.glob("runs/*/version_*"), key=lambda path: int(re.sub(r"\D", "", path.name)))

    def weights(self) -> dict[str, torch.Tensor]:
        """Return the final weights and the optimizer's state."""
        contents = torch.load(self._last() / "checkpoints" / "last.ckpt", weights_only=True)
        state = dict(contents["state_dict"])
        for index, optimizer in enumerate(contents["optimizer_states"]):
            for parameter, values in optimizer["state"].items():
                state |= {f"{index}.{parameter}.{name}": torch.as_tensor(value) for name, value in values.items()}
        return state

    def metrics(self) -> list[dict[str, str]]:
        """Return the rows of metrics.csv without what a clock says."""
        with (self._last() / "metrics.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        return [{key: value for key, value in row.items() if not key.startswith(CLOCKS)} for row in rows]

    def files(self) -> set[str]:
        """Return what lies in the run's folder; earlier words for the same configuration do not count."""
        found = {str(path.relative_to(self._last())) for path in self._last().rglob("*")}
        return {name for name in found if not re.fullmatch(r"config\.\d+\.yaml", name)}


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
