"""A schedule of torch that cannot be built without its length gets the run's, as a layer below what was typed."""

from __future__ import annotations

from typing import Any

_REQUIRED = {"CosineAnnealingLR": "T_max"}
"""Class → the argument that is its length in steps, and has no default; −1 is the run's (`optim.run_length`)."""


def as_long_as_the_run(name: str | None) -> dict[str, Any] | None:
    """Return the layer of a schedule that was typed by its short name, None if it needs none."""
    length = _REQUIRED.get(name or "")
    if length is None:
        return None
    return {"class_path": f"torch.optim.lr_scheduler.{name}", "init_args": {length: -1}}
