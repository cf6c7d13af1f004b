"""Whether a run has done all that it was meant to do: `--ckpt_path last` then changes nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from qstar_pl.files import write_text

FINISHED = "finished.json"
"""Beside the checkpoints, once the closing validation is in metrics.csv."""


@dataclass(frozen=True)
class Finished:
    """What a run had done when it ended by itself."""

    checkpoint: str
    """Name of its newest checkpoint."""
    step: int
    """Optimizer steps taken."""
    epochs: int
    """Epochs completed."""

    @classmethod
    def beside(cls, checkpoint: Path) -> Finished | None:
        """Return what stands beside a checkpoint, if it is the newest of its run; else None."""
        found = cls.in_folder(checkpoint.parent)
        return found if found is not None and found.checkpoint == checkpoint.name else None

    @classmethod
    def in_folder(cls, folder: Path) -> Finished | None:
        """Return what stands in a folder of checkpoints; None if nothing."""
        try:
            return cls(**json.loads((folder / FINISHED).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, folder: Path) -> None:
        """Write it into a folder of checkpoints."""
        write_text(folder / FINISHED, json.dumps(asdict(self)) + "\n")

    def covers(self, max_steps: int, max_epochs: int | None) -> bool:
        """Return whether a run of this length (Lightning's limits; -1 or None: no limit) has nothing left to do."""
        return 0 <= max_steps <= self.step or (max_epochs is not None and 0 <= max_epochs <= self.epochs)


def begin(folder: Path) -> None:
    """Forget that the run whose checkpoints lie in a folder had ended: it goes on."""
    (folder / FINISHED).unlink(missing_ok=True)
