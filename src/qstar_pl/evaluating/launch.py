"""How an evaluation is run: processes, progress, and what is done with what is there already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lightning.pytorch import Trainer
from lightning.pytorch.strategies import Strategy


@dataclass(frozen=True)
class Launch:
    """What decides nothing of the results."""

    devices: int | list[int] | str = 1
    """Lightning's; number of processes, or which devices."""
    strategy: str | Strategy = "auto"
    """Lightning's, of generation."""
    overwrite: bool = False
    """Begin anew, whatever is there."""
    judge_only: bool = False
    """Take answers and scores as they are, and judge anew."""
    progress: bool = True
    date: str | None = None
    """What chat templates take for today."""
    attach: Callable[[Trainer], None] | None = None
    """Called with the trainer of generation before it starts."""
    config: str | None = None
    """All options as YAML, which are kept beside the results."""
