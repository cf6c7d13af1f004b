"""Asks SLURM to queue a job again that a signal told to stop, once it is saved."""

from __future__ import annotations

import os
import subprocess  # nosec B404 - for scontrol alone
import sys

from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch import Trainer

LIMIT_S = 60
"""Seconds that SLURM may take to answer."""


def requeue(trainer: Trainer, number: int) -> None:
    """Queue the job again if the signal is its environment's: `SIGUSR1`, unless `SLURMEnvironment` says otherwise.

    `#SBATCH --signal=SIGUSR1@90` sends it 90 s before the job's time limit.
    """
    environment = trainer._accelerator_connector.cluster_environment
    if not isinstance(environment, SLURMEnvironment) or not trainer.is_global_zero:
        return
    if not environment.auto_requeue or number != environment.requeue_signal or "SLURM_JOB_ID" not in os.environ:
        return
    job = os.environ["SLURM_JOB_ID"]
    # In an array, only the pair of array and task names this job.
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        answer = subprocess.run(  # nosec B603, B607 - SLURM's command, where the cluster has it; the job's own number
            ["scontrol", "requeue", job], capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        failure = answer.stderr.strip() or f"exit code {answer.returncode}" if answer.returncode else None
    except (OSError, subprocess.TimeoutExpired) as error:
        failure = str(error)
    if failure is None:
        print(f"job {job} is queued again", flush=True)
    else:
        print(f"job {job} is not queued again: scontrol requeue: {failure}", file=sys.stderr, flush=True)
