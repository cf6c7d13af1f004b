"""Which optimizers a checkpoint has the state of, so that a run is not continued by another one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch.optim import Optimizer

from qstar_pl.errors import UserError

KEY = "qstar_optimizers"
"""Checkpoint key of their names; an empty list if the checkpoint holds weights alone."""
_NEW_RUN = "--model.policy=FromCheckpoint starts a new run from its weights"
WEIGHTS_ALONE = (
    "ckpt_path must hold the state of the optimizer, got a checkpoint with weights alone (save_weights_only); "
    f"{_NEW_RUN}"
)


def names_of(optimizers: Iterable[Optimizer]) -> list[str]:
    """Return the names of the classes."""
    return [type(optimizer).__name__ for optimizer in optimizers]


def check_has_state(checkpoint: Mapping[str, Any]) -> None:
    """Check that a run can be continued from the checkpoint; one that does not say passes.

    Raises:
        UserError: if it was saved without the optimizers.

    """
    if checkpoint.get(KEY) == []:
        raise UserError(WEIGHTS_ALONE)


def check_same(stored: list[str] | None, optimizers: Iterable[Optimizer]) -> None:
    """Check that the optimizers are of the classes that the checkpoint has the state of; one without names passes.

    Raises:
        UserError: if they are not.

    """
    given = names_of(optimizers)
    if stored is not None and stored != given:
        had, got = ", ".join(stored), ", ".join(given)
        raise UserError(f"optimizer must be {had}, whose state the checkpoint holds, got {got}; {_NEW_RUN}")
