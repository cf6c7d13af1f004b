"""The names of runs."""

from __future__ import annotations

import re
from pathlib import Path

from qstar_pl.errors import UserError


def snake_case(name: str) -> str:
    """Return e.g. "q_star" for "QStar" and "dpo" for "DPO": the run folder of a method."""
    # Before a capital after a small letter (q|Star), and before the last of several capitals (RLHF|Module).
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def check_name(name: str | None) -> None:
    """Check that the runs of this name lie inside the folder of all runs.

    Raises:
        UserError: if not, since other files would be written to, and `--ckpt_path last` would look there; also for an
            empty name.

    """
    if name == "":
        raise UserError("name must not be empty")
    parts = re.split(r"[/\\]", name or "")
    if name and (Path(name).is_absolute() or name.startswith("~") or {"", ".", ".."} & set(parts)):
        raise UserError(
            f"name must name a folder inside trainer.default_root_dir, such as mine or study/mine, got {name}"
        )
