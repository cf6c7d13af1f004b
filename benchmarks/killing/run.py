"""One training run that can be killed and goes on, and what it has ended in."""

from __future__ import annotations

import csv
import os
import re
import signal
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml

from killing.aim import Kill, aim
from qstar_pl.callbacks import default_diagnostics
from qstar_pl.cli import main as qstar

STEPS = 60
CLOCKS = ("time/", "tokens/per_s", "samples/per_s", "memory/")
METHODS = {
    "q*": ("tiny_q_star", ["--model.samples_per_prompt=2", "--model.sampler.max_new_tokens=8"]),
    "PPO": ("tiny_ppo", ["--model.samples_per_prompt=2", "--model.sampler.max_new_tokens=8"]),
    "DPO": ("tiny_dpo", ["--data.batch_size=8"]),
}
LIMIT_S = 900
"""Longest time of one process, s."""


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
