"""Starts the scripts of this folder as real processes of one training, as a launcher would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent


def start(script: str, *words: str, rank: int = 0, world: int = 2) -> subprocess.Popen[str]:
    """Start one process; alone it is told nothing of others."""
    places = {"MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": str(world), "NODE_RANK": "0", "LOCAL_RANK": str(rank)}
    return subprocess.Popen(
        [sys.executable, str(FOLDER / script), *words],
        env={**os.environ, **(places if world > 1 else {}), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(processes: Sequence[subprocess.Popen[str]], limit_s: float) -> None:
    """Wait for all to succeed; none outlives this."""
    try:
        said = [process.communicate(timeout=limit_s)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert not any(process.returncode for process in processes), "\n".join(text[-3000:] for text in said)
