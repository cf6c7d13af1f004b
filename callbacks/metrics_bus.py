"""Where the diagnostics of one trainer meet: one gather, one copy to the host and one logger call per logging step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from .observer import Observer
from .reductions import MAX, Layout, Reduction, pack, reduce_over_ranks

T = TypeVar("T")

_UNKNOWN = ("unknown", MAX.name)
"""The first slot of each vector: 1 where a rank has statistics that the agreed layout lacks."""


class MetricsListener(ABC):
    """A callback that wants the formed metrics, in the step in which they are logged; called on every rank."""

    @abstractmethod
    def on_metrics(self, trainer: Trainer, pl_module: LightningModule, metrics: Mapping[str, float], step: int) -> None:
        """Receive the metrics, reduced over ranks, micro-steps and the steps since the last call."""


class MetricsBus:
    """Flushes all diagnostics of a trainer at once."""

    def __init__(self) -> None:
        self.flushed_step = 0
        self.restored_step: int | None = None
        """`flushed_step` of the checkpoint that the run resumes from."""
        self._layout: Layout = ()

    def is_due(self, trainer: Trainer) -> bool:
        """Whether an optimizer step has just completed that is to be logged (the same on every rank)."""
        step, every = trainer.global_step, log_interval(trainer)
        if step == self.flushed_step or every == 0:
            return False
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return True
        # Manual optimization may take several steps per batch, which can skip a multiple of `every`.
        return step // every > self.flushed_step // every

    def flush(self, trainer: Trainer, pl_module: LightningModule, diagnostics: Sequence[Observer]) -> None:
        """Reduce, form the metrics, log them and start the next window."""
        step = trainer.global_step
        for diagnostic in diagnostics:
            diagnostic.before_flush(trainer)
        metrics: dict[str, float] = {}
        in_bar: set[str] = set()
        for diagnostic, window in zip(diagnostics, self.reduce(trainer, diagnostics), strict=True):
            diagnostic.accumulators.clear()
            metrics.update(diagnostic.compute({name: value for name, (_, value) in window.items()}))
            in_bar.update(diagnostic.prog_bar_keys if diagnostic.prog_bar else ())
        self.flushed_step = step
        _publish(trainer, metrics, step, in_bar)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, MetricsListener):
                callback.on_metrics(trainer, pl_module, metrics, step)

    def reduce(self, trainer: Trainer, diagnostics: Sequence[Observer]) -> list[dict[str, tuple[str, float]]]:
        """Return {name: (reduction, value over all ranks)} of each diagnostic; every rank must call it."""
        gathered = self._gather_agreed(trainer, diagnostics)
        return self._by_diagnostic(reduce_over_ranks(gathered, self._layout), len(diagnostics))

    def of_ranks(self, trainer: Trainer, diagnostics: Sequence[Observer]) -> list[dict[str, tuple[str, list[float]]]]:
        """Return {name: (reduction, value of each rank)} of each diagnostic; every rank must call it."""
        columns = self._gather_agreed(trainer, diagnostics).double().unbind(1)
        values = {name: column.tolist() for (name, _), column in zip(self._layout, columns, strict=True)}
        return self._by_diagnostic(values, len(diagnostics))

    def _by_diagnostic(self, values: Mapping[str, T], count: int) -> list[dict[str, tuple[str, T]]]:
        windows: list[dict[str, tuple[str, T]]] = [{} for _ in range(count)]
        for key, reduction in self._layout[1:]:  # without the flag
            index, _, name = key.partition("/")  # at the first slash: names have slashes of their own
            windows[int(index)][name] = (reduction, values[key])
        return windows

    def _gather_agreed(self, trainer: Trainer, diagnostics: Sequence[Observer]) -> Tensor:
        """Return [ranks, slots] on the host, in a layout that has a slot for whatever any rank has."""
        entries = {
            f"{index}/{name}": entry
            for index, diagnostic in enumerate(diagnostics)
            for name, entry in diagnostic.accumulators.entries.items()
        }
        if not self._layout:  # on all ranks at once: every flush is collective
            self._agree(trainer, entries)
        gathered = self._gather(trainer, entries)
        if bool((gathered[:, 0] > 0).any()):
            # Rare: a statistic that no rank had before (a new term of the loss). All ranks see the flag, so all agree
            # again; the vectors are gathered anew, since their slots have moved.
            self._agree(trainer, entries)
            gathered = self._gather(trainer, entries)
        return gathered

    def _agree(self, trainer: Trainer, entries: Mapping[str, tuple[Reduction, Tensor]]) -> None:
        """Fix the order of the slots: the union of what any rank has, since a rank may have had no data so far."""
        names = set(self._layout[1:]) | {(name, reduction.name) for name, (reduction, _) in entries.items()}
        if trainer.world_size > 1:
            of_ranks: list[Any] = [None] * trainer.world_size
            torch.distributed.all_gather_object(of_ranks, names)
            names = set().union(*of_ranks)
        self._layout = (_UNKNOWN, *sorted(names))

    def _gather(self, trainer: Trainer, entries: Mapping[str, tuple[Reduction, Tensor]]) -> Tensor:
        """Return [ranks, slots] on the host: one all-gather and one device-to-host copy."""
        known = {name for name, _ in self._layout}
        flag = torch.tensor(float(not entries.keys() <= known))
        vector = pack({**entries, _UNKNOWN[0]: (MAX, flag)}, self._layout, trainer.strategy.root_device)
        if trainer.world_size > 1:
            vector = trainer.strategy.all_gather(vector)
        return vector.reshape(trainer.world_size, -1).cpu()


def _publish(trainer: Trainer, metrics: Mapping[str, float], step: int, in_bar: set[str]) -> None:
    if not metrics:
        return
    for logger in trainer.loggers:
        logger.log_metrics({**metrics, "epoch": float(trainer.current_epoch)}, step)
    # The public dictionaries that Lightning's own LearningRateMonitor and progress bars use. The values are on the host
    # already, so ModelCheckpoint, EarlyStopping and the bar cost no further copy.
    trainer.callback_metrics.update({key: torch.tensor(value) for key, value in metrics.items()})
    trainer.progress_bar_metrics.update({key: metrics[key] for key in sorted(in_bar) if key in metrics})


def log_interval(trainer: Trainer) -> int:
    """Return Trainer(log_every_n_steps=…); 0 means never."""
    return int(trainer.log_every_n_steps)  # type: ignore[attr-defined]
