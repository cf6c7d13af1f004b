"""How the runs of an experiment are started."""

from __future__ import annotations

import os
import shlex
import subprocess  # nosec B404 - to have the shell read a template
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qstar_pl.errors import UserError
from qstar_pl.experiments.running.planned import PlannedRun
from qstar_pl.experiments.running.processes import Processes, Told
from qstar_pl.experiments.running.reuse import Reuse
from qstar_pl.experiments.running.slurm import queued, sbatch, submit

COMMAND, QUOTED = "{command}", "{quoted}"
SHELL = "/bin/sh"


@dataclass(frozen=True)
class Settled:
    """How many run side by side, and what each gets."""

    jobs: int
    threads: int
    """Of each process."""
    name: str
    """Of the experiment."""
    output: Path
    slurm: tuple[str, ...] = ()
    """Options of sbatch."""
    reuse: Reuse | None = None
    """Where equal runs are looked for that finish in the meantime; None: nowhere."""


class Launcher(ABC):
    """Starts runs, and sees to it that their exit codes get into their folders."""

    waits: bool = True
    """Whether all have ended when `start` returns."""

    def check(self) -> None:
        """Raise UserError if nothing could be started: asked before anything is written."""
        return

    @abstractmethod
    def start(self, runs: Sequence[PlannedRun], settled: Settled, tell: Told) -> None:
        """Start all of them; one that fails does not keep the others from running."""


@dataclass(frozen=True)
class Local(Launcher):
    """Processes on this machine, each with its share of the cores.

    On Linux without an accelerator, whose state a fork would break, they are forked from one that has imported
    everything.
    """

    def start(self, runs: Sequence[PlannedRun], settled: Settled, tell: Told) -> None:
        """See `Launcher.start`."""
        argv = None if _may_fork() else lambda run: run.argv
        Processes(argv, settled.jobs, settled.threads, tell, settled.reuse).start(runs)


@dataclass(frozen=True)
class Template(Launcher):
    """A shell command around the run's: `"nice -n 19 {command}"`, `"ssh host {quoted}"`."""

    text: str
    """{command}: the run's words; {quoted}: the same, in this folder, as one word for a second shell."""

    def __post_init__(self) -> None:
        """Refuse a template that runs nothing, or that is no command of a shell."""
        if COMMAND not in self.text and QUOTED not in self.text:
            raise UserError(f"launcher must be local, slurm, or a template with {COMMAND} or {QUOTED}, got {self.text}")
        argv = [SHELL, "-n", "-c", self.text]  # reads, and runs nothing
        read = subprocess.run(argv, capture_output=True, text=True, check=False)  # nosec B603 - a list of words
        if read.returncode != 0:
            why = read.stderr.strip().splitlines()[0].rpartition(": ")[2]
            raise UserError(f"launcher must be a command that {SHELL} can read, got {self.text} ({why})")

    def start(self, runs: Sequence[PlannedRun], settled: Settled, tell: Told) -> None:
        """See `Launcher.start`."""
        Processes(self._argv, settled.jobs, settled.threads, tell, settled.reuse).start(runs)

    def _argv(self, run: PlannedRun) -> list[str]:
        command = shlex.join(run.argv)
        there = shlex.quote(f"cd {shlex.quote(os.getcwd())} && {command}")  # noqa: PTH109 (as the shell has it)
        return [SHELL, "-c", self.text.replace(COMMAND, command).replace(QUOTED, there)]


@dataclass(frozen=True)
class Slurm(Launcher):
    """One sbatch array, a task for each run; the command returns at once."""

    waits = False

    def check(self) -> None:
        """See `Launcher.check`."""
        sbatch()

    def start(self, runs: Sequence[PlannedRun], settled: Settled, tell: Told) -> None:
        """See `Launcher.start`."""
        known = {job: queued(job) for run in runs if (job := _job(run)) is not None}
        there = [run for run in runs if run.folder.is_written() or known.get(_job(run) or "", False)]
        left = [run for run in runs if run not in there]
        held = [run for run in left if run.base is not None and run.base.state != "finished"]
        left = [run for run in left if run not in held]
        if there:
            tell(f"{len(there)} runs are queued or at work")
        if held:
            tell(f"{len(held)} runs start from others; the same command submits them once those have finished")
        if left:
            number = submit(left, settled.output, settled.name, settled.jobs, settled.slurm)
            tell(f"submitted {len(left)} runs as job array {number}; the same command tells how far they are")


def _may_fork() -> bool:
    import torch  # late: a template needs none of it

    return sys.platform == "linux" and not torch.accelerator.is_available()


def _job(run: PlannedRun) -> str | None:
    """Return the cluster's number of a run's job, unless it has ended."""
    asked = run.folder.asked
    return None if asked is None or run.folder.exit is not None else asked.job


def launcher(word: str) -> Launcher:
    """Return the launcher of a name, or of a template; raises UserError if it is neither."""
    named: dict[str, Launcher] = {"local": Local(), "slurm": Slurm()}
    return named.get(word) or Template(word)
