"""An experiment as one sbatch array: a script that SLURM reads, and nothing that has to keep running."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess  # nosec B404 - to start SLURM's own programs
from collections.abc import Sequence
from pathlib import Path

from qstar_pl.errors import UserError
from qstar_pl.experiments.running.planned import PlannedRun
from qstar_pl.files import write_text


def script(runs: Sequence[PlannedRun], name: str, jobs: int, options: Sequence[str], folder: Path) -> str:
    """Return the script: task n of the array does the n-th run, and writes its exit code into its folder.

    Args:
        runs: to be done.
        name: of the experiment.
        jobs: how many may run at a time; 0: as many as the cluster gives.
        options: of sbatch, such as "gres=gpu:8".
        folder: in which paths begin.

    """
    limit = f"%{jobs}" if jobs else ""
    head = [f"job-name=qstar-{name}", f"array=0-{len(runs) - 1}{limit}", "output=/dev/null", *options]
    lines = ["#!/bin/sh", *(f"#SBATCH --{one}" for one in head), f"cd {shlex.quote(str(folder))} || exit 1"]
    lines.append('case "$SLURM_ARRAY_TASK_ID" in')
    for number, run in enumerate(runs):
        lines.append(f"{number}) folder={shlex.quote(str(run.folder.path))}; set -- {shlex.join(run.argv)} ;;")
    lines += [
        "esac",
        '"$@" >>"$folder/log.txt" 2>&1',
        "code=$?",
        "# Told to stop, or to queue again: the next task of this run goes on from its checkpoint.",
        '[ "$code" -gt 128 ] || echo "$code" >"$folder/exit"',
        'exit "$code"',
    ]
    return "\n".join(lines) + "\n"


def queued(job: str) -> bool:
    """Return whether SLURM still has tasks of a job, waiting or at work; False where there is no SLURM."""
    program = shutil.which("squeue")
    if program is None:
        return False
    words = [program, "--noheader", "--jobs", job, "--format", "%i"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # nosec B603 - a list of words
    return done.returncode == 0 and bool(done.stdout.strip())


def sbatch() -> str:
    """Return the program that submits; raises UserError if there is none."""
    program = shutil.which("sbatch")
    if program is None:
        raise UserError("launcher slurm must find sbatch on PATH, got none: is this a login node of the cluster?")
    return program


def submit(runs: Sequence[PlannedRun], output: Path, name: str, jobs: int, options: Sequence[str]) -> str:
    """Write the script and submit it; return the number of the job.

    Raises:
        UserError: if there is no sbatch, or it refuses.

    """
    program = sbatch()
    file = output / "slurm.sh"
    write_text(file, script(runs, name, jobs, options, Path(os.getcwd())))  # noqa: PTH109 (as the shell has it)
    for run in runs:
        run.folder.begin(run.asks())
    words = [program, "--parsable", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # nosec B603 - a list of words
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or "nothing"
        raise UserError(f"sbatch must accept {file}, got exit code {done.returncode}: {said}")
    job = done.stdout.strip().partition(";")[0]
    for run in runs:
        run.folder.begin(run.asks(job))
    return job
