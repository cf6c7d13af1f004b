"""Counts of α and of the log-weights in fixed bins, which a report adds up over any part of a run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from qstar_pl.files import naming, write_text
from qstar_pl.run_folders.kept import DISTRIBUTIONS, whole_lines
from qstar_pl.types import RolloutReport

from .diagnostic import RolloutDiagnostic
from .log_weights import row_log_weights
from .metrics_bus import MetricsListener
from .reductions import widen
from .run_files import as_line, run_folder

EDGES: Mapping[str, Sequence[float]] = {
    "alpha": [number / 20 for number in range(21)],
    "log_weights": [number / 2 for number in range(-30, 31)],
}
"""Of the bins; a bin holds its lower edge, and the last one of α both. Those of log-weights have an open bin at either
end, for all below −15 and from 15 nats on."""
COUNTS = {"alpha": 20, "log_weights": 62}
"""How many bins each has."""


class KeptDistributions(RolloutDiagnostic, MetricsListener):
    """Counts in distributions.jsonl beside metrics.csv, for each log window, over all micro-steps and ranks.

    - `alpha`: α of each counted token
    - `log_weights`: Σ_t log π_θ/q of each answer, raw, in nats

    A line is appended per window; a run that goes on from a checkpoint first drops those of steps that it repeats. It
    logs no metric.
    """

    def __init__(self) -> None:
        super().__init__(prog_bar=False)
        self._totals: Mapping[str, list[int]] = {}
        self._is_begun = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """See `Diagnostic.setup`."""
        super().setup(trainer, pl_module, stage)
        self._is_begun = False

    def observe_rollout(self, report: RolloutReport) -> None:
        """See `RolloutDiagnostic.observe_rollout`."""
        rollout = report.weighted.scored.rollout
        mask = rollout.completion_mask
        self._count("alpha", rollout.alpha.flatten(), mask.flatten())
        self._count("log_weights", *row_log_weights(report.weighted.log_weights, mask))

    def _count(self, name: str, values: Tensor, mask: Tensor) -> None:
        size, inner = COUNTS[name], EDGES[name][1:-1] if name == "alpha" else EDGES[name]
        edges = torch.tensor(inner, dtype=torch.float64).to(values.device, values.dtype, non_blocking=True)
        counted = widen(mask)
        bins = torch.bucketize(values.detach(), edges, right=True)
        counts = torch.zeros(size, dtype=counted.dtype, device=counted.device).scatter_add_(0, bins, counted)
        for number, count in enumerate(counts.unbind()):
            self.add(f"{name}/{number}", count)

    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """Hold the totals until they are written; there is no metric."""
        self._totals = {
            name: [int(stats[f"{name}/{number}"]) for number in range(size)]
            for name, size in COUNTS.items()
            if f"{name}/0" in stats
        }
        return {}

    def on_metrics(self, trainer: Trainer, pl_module: LightningModule, metrics: Mapping[str, float], step: int) -> None:
        """Write the window that ends at this step."""
        folder = run_folder(trainer)
        if folder is None or not self._totals or not trainer.is_global_zero:
            return
        file, line = folder / DISTRIBUTIONS, as_line({"step": step, **self._totals})
        if self._is_begun:
            with naming(file), file.open("a", encoding="utf-8") as opened:
                opened.write(line)
                opened.flush()
                os.fsync(opened.fileno())  # as a checkpoint is that goes on behind it
            return
        before: list[Mapping[str, Any]] = [row for row in whole_lines(file) if row.get("step", step) < step]
        write_text(file, "".join(map(as_line, [{"edges": EDGES}, *before])) + line)
        self._is_begun = True
