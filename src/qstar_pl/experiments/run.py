"""A run whose trainer an experiment drives itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lightning.pytorch import Trainer

from qstar_pl.data import RLHFDataModule
from qstar_pl.methods import RLHFModule


@dataclass(frozen=True)
class Run:
    """What `qstar fit` would have run."""

    trainer: Trainer
    module: RLHFModule
    data: RLHFDataModule


Build = Callable[[Sequence[str]], Run]
"""From the words after `qstar fit` to the run that they describe; see `cli.build`."""
