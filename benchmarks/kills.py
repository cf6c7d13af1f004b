"""SIGKILL at random moments of training, the same command again, and the same bits at the end.

Run as `python benchmarks/kills.py [--kills 30] [--seed 0]`, or `just bench kills`. For each method and number of
processes, one run is left alone and one is killed again and again: in a rollout, in a backward pass, in an optimiser
step, in validation, while a checkpoint is written; all its processes at once, or one of several. Prints one line per
kill, then for each run whether the final weights are bitwise those of the run left alone, and whether metrics.csv is
the same to the last digit (clocks aside), samples and tokens included. Exit code 1 if any of it is not.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import Callback

PHASES = ("rollout or loss", "backward", "optimiser step", "between steps", "validation", "checkpoint")
MARK = "QSTAR_KILLS_MARK"
CLOCKS = ("time/", "tokens/per_s", "samples/per_s", "memory/")
METHODS = {
    "q*": ("tiny_q_star", ["--model.samples_per_prompt=2", "--model.sampler.max_new_tokens=12"]),
    "PPO": ("tiny_ppo", ["--model.samples_per_prompt=2", "--model.sampler.max_new_tokens=12"]),
    "DPO": ("tiny_dpo", ["--data.batch_size=8"]),
}
STEPS = 24
LIMIT_S = 300
"""Longest time of one process, s."""


class PhaseMark(Callback):
    """Writes into a file what the trainer is doing, so that a kill can be aimed at it."""

    def _mark(self, phase: str) -> None:
        path = os.environ.get(MARK)
        if path and os.environ.get("LOCAL_RANK", "0") == "0":
            Path(path).write_text(phase)

    def on_train_batch_start(self, *_: Any) -> None:
        self._mark(PHASES[0])

    def on_before_backward(self, *_: Any) -> None:
        self._mark(PHASES[1])

    def on_before_optimizer_step(self, *_: Any) -> None:
        self._mark(PHASES[2])

    def on_train_batch_end(self, *_: Any) -> None:
        self._mark(PHASES[3])

    def on_validation_start(self, *_: Any) -> None:
        self._mark(PHASES[4])

    def on_save_checkpoint(self, *_: Any) -> None:
        self._mark(PHASES[5])


@dataclass
class Run:
    """One training run, in a folder of its own."""

    method: str
    processes: int
    folder: Path
    kills: Counter[str] = field(default_factory=Counter)

    def start(self) -> subprocess.Popen[bytes]:
        """Start, or start again, with the same command."""
        config, options = METHODS[self.method]
        experiment = Path(__file__).parents[1] / "configs" / "experiment" / f"{config}.yaml"
        words = [sys.executable, "-m", "qstar_pl", "fit", f"--config={experiment}", *options, "--ckpt_path=auto"]
        words += [f"--trainer={self._trainer()}"]
        paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", MARK: str(self.mark)}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        self.mark.unlink(missing_ok=True)
        log = (self.folder / "log").open("ab")
        return subprocess.Popen(words, cwd=self.folder, env=environment, stdout=log, stderr=log, start_new_session=True)

    @property
    def mark(self) -> Path:
        return self.folder / "phase"

    def _trainer(self) -> Path:
        """Write the trainer's configuration: every diagnostic, a checkpoint after every step, two validations."""
        from qstar_pl.callbacks import default_diagnostics

        checkpoint = {"every_n_train_steps": 1, "save_last": True, "save_top_k": 1}
        callbacks: list[Any] = [{"class_path": "kills.PhaseMark"}]
        callbacks += [{"class_path": f"qstar_pl.callbacks.{type(one).__name__}"} for one in default_diagnostics()]
        callbacks += [{"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": checkpoint}]
        sharded = {"strategy": "fsdp2"} if self.processes > 1 else {}
        settings = {
            "accelerator": "cpu",
            "devices": self.processes,
            **sharded,
            "max_steps": 2 * STEPS if self.method == "PPO" else STEPS,
            "val_check_interval": 4,
            "check_val_every_n_epoch": None,
            "limit_val_batches": 2,
            "num_sanity_val_steps": 0,
            "log_every_n_steps": 2,
            "enable_progress_bar": False,
            "callbacks": callbacks,
        }
        path = self.folder / "trainer.yaml"
        path.write_text(yaml.safe_dump(settings))
        return path

    def finish(self) -> None:
        """Let it run to its end."""
        process = self.start()
        try:
            code = process.wait(LIMIT_S)
        finally:
            _kill(process, "all")
        if code:
            raise SystemExit(f"a run ended with {code}; the end of {self.folder / 'log'}:\n{self._said()}")

    def interrupt(self, wanted: str, delay: float, whom: str) -> str | None:
        """Start, kill `delay` s after a phase has begun, and return the phase that was hit; None if it ended before."""
        process = self.start()
        end = time.monotonic() + LIMIT_S
        try:
            while process.poll() is None and self._phase() != wanted:
                if time.monotonic() > end:
                    raise SystemExit(f"{wanted} was not reached; the end of {self.folder / 'log'}:\n{self._said()}")
                time.sleep(0.002)
            time.sleep(delay)
            hit = self._phase() if process.poll() is None else None
            _kill(process, whom)
            process.wait(60)  # where only one process was killed, the others must find out and end
        finally:
            _kill(process, "all")
        if hit is not None:
            self.kills[hit] += 1
        return hit

    def _phase(self) -> str | None:
        return self.mark.read_text() if self.mark.exists() else None

    def _said(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def _newest(self, name: str) -> Path:
        # A run killed before its first checkpoint begins anew, in the next folder.
        return max(self.folder.glob(f"runs/*/version_*/{name}"), key=lambda path: path.stat().st_mtime)

    def weights(self) -> dict[str, torch.Tensor]:
        """Return the final weights and the optimiser's state."""
        contents = torch.load(self._newest("checkpoints/last.ckpt"), weights_only=True)
        state = dict(contents["state_dict"])
        for index, optimizer in enumerate(contents["optimizer_states"]):
            for parameter, values in optimizer["state"].items():
                state |= {f"{index}.{parameter}.{name}": torch.as_tensor(value) for name, value in values.items()}
        return state

    def metrics(self) -> list[dict[str, str]]:
        """Return the rows of metrics.csv without what a clock says."""
        with self._newest("metrics.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        return [{key: value for key, value in row.items() if not key.startswith(CLOCKS)} for row in rows]


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def _kill(process: subprocess.Popen[bytes], whom: str) -> None:
    children = _children(process.pid)
    try:
        if whom == "rank 1" and children:
            os.kill(children[0], signal.SIGKILL)
        elif whom == "rank 0":
            os.kill(process.pid, signal.SIGKILL)
        else:
            os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _difference(ours: list[dict[str, str]], theirs: list[dict[str, str]]) -> str:
    """Return where two metrics.csv part, for whoever has to find out why."""
    for number, (our, their) in enumerate(zip(ours, theirs, strict=False)):
        if keys := [key for key in sorted(their) if our.get(key) != their[key]]:
            values = ", ".join(f"{key} {our.get(key)} instead of {their[key]}" for key in keys[:4])
            return f"  row {number}, step {their.get('step')}: {len(keys)} metrics differ: {values}"
    return f"  {len(ours)} rows instead of {len(theirs)}"


def campaign(kills: int, seed: int, folder: Path) -> int:
    """Run everything; return the number of runs that differ."""
    numbers = random.Random(seed)
    shares = [(method, processes) for processes in (1, 2) for method in METHODS]
    wrong = 0
    summary = []
    for index, (method, processes) in enumerate(shares):
        name = f"{method.replace('*', '_star')}_{processes}"
        (folder / name / "alone").mkdir(parents=True)
        (folder / name / "killed").mkdir()
        alone = Run(method, processes, folder / name / "alone")
        killed = Run(method, processes, folder / name / "killed")
        alone.finish()
        wanted = kills // len(shares) + (index < kills % len(shares))
        while killed.kills.total() < wanted:
            phase = numbers.choice(PHASES)
            whom = numbers.choice(["all", "rank 0", "rank 1"]) if processes > 1 else "all"
            delay = numbers.choice([0.0, numbers.uniform(0, 0.05), numbers.uniform(0, 2.0)])
            hit = killed.interrupt(phase, delay, whom)
            print(
                f"{method:4} {processes} process(es): killed {whom:6} in {hit or 'nothing: it had ended'}", flush=True
            )
            if hit is None:
                break
        killed.finish()
        ours, theirs = killed.weights(), alone.weights()
        same_weights = ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in theirs)
        same_metrics = killed.metrics() == alone.metrics()
        if not same_metrics:
            print(_difference(killed.metrics(), alone.metrics()), flush=True)
        wrong += not (same_weights and same_metrics)
        summary.append((method, processes, killed.kills.total(), len(theirs), same_weights, same_metrics))
        print(f"  {dict(killed.kills)}", flush=True)
    print(f"\n{'method':7}{'processes':>10}{'kills':>7}{'tensors':>9}  weights  metrics")
    for method, processes, count, tensors, same_weights, same_metrics in summary:
        verdicts = ("same" if same_weights else "DIFFER", "same" if same_metrics else "DIFFER")
        print(f"{method:7}{processes:>10}{count:>7}{tensors:>9}  {verdicts[0]:7}  {verdicts[1]}")
    print(f"{sum(row[2] for row in summary)} kills, {wrong} of {len(summary)} runs differ")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill training runs at random moments and compare what they end in.")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return int(campaign(arguments.kills, arguments.seed, Path(folder)) > 0)


if __name__ == "__main__":
    sys.exit(main())
