"""Whether the tail of the importance weights is light enough for any estimate to be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from qstar_pl.qstar.pareto import pareto_smooth
from qstar_pl.types import RolloutReport

from .diagnostic import RolloutDiagnostic
from .log_weights import row_log_weights
from .reductions import MAX

_CHECKPOINT_KEY = "qstar_pl_pareto_rows"


class ParetoDiagnostic(RolloutDiagnostic):
    """The shape k̂ of a generalized Pareto law fitted to the largest raw weights π_θ/q of whole answers.

    - `weights/pareto_k` = k̂ (Vehtari et al. 2024, with their prior) over the answers of all ranks, micro-steps and
      steps of the window; absent with fewer than 21 answers, and where the largest weights are all equal (on-policy).

    The weights have a variance if k̂ < ½ and a mean if k̂ < 1; above 0.7 neither clipping nor smoothing makes the
    estimate trustworthy at any practical sample size. A tail cannot be merged from parts, so the log-weights of the
    window, one number per answer, are gathered once per logging step.

    Args:
        prog_bar: show `weights/pareto_k` in the progress bar.

    """

    prog_bar_keys = ("weights/pareto_k",)

    def __init__(self, prog_bar: bool = False) -> None:
        super().__init__(prog_bar)
        self._rows: list[Tensor] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """See `Diagnostic.setup`."""
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            self._rows.clear()

    def observe_rollout(self, report: RolloutReport) -> None:
        """See `RolloutDiagnostic.observe_rollout`."""
        log_weights, counted = row_log_weights(
            report.weighted.log_weights, report.weighted.scored.rollout.completion_mask
        )
        # Only the device knows which rows count: the others become NaN here, and are dropped on the host.
        self._rows.append(torch.where(counted, log_weights, torch.nan))

    def before_flush(self, trainer: Trainer) -> None:
        """See `Observer.before_flush`: the fit is made on every rank, of the same rows in the same order."""
        k = pareto_smooth(self._gather(trainer))[1]
        self._rows.clear()
        # All ranks have the same k, so the maximum over them is k itself.
        if math.isfinite(k):
            self.add("k", k, MAX)

    def compute(self, stats: Mapping[str, float]) -> dict[str, float]:
        """See `Observer.compute`."""
        k = stats.get("k", -math.inf)  # −inf, its neutral element, where this window had no tail to fit
        return {"weights/pareto_k": k} if math.isfinite(k) else {}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the rows of the unfinished window, of all ranks."""
        checkpoint[_CHECKPOINT_KEY] = self._gather(trainer)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take them back, on one rank: the next gathering finds them there."""
        if trainer.is_global_zero and _CHECKPOINT_KEY in checkpoint:
            self._rows.append(checkpoint[_CHECKPOINT_KEY])

    def _gather(self, trainer: Trainer) -> Tensor:
        """Return the log-weights [answers] of the window, of all ranks, in ascending order; every rank must call it."""
        device = trainer.strategy.root_device
        rows = torch.cat([torch.zeros(0, device=device), *(row.to(device) for row in self._rows)]).cpu().double()
        of_ranks: list[Any] = [rows] * trainer.world_size
        if trainer.world_size > 1:
            torch.distributed.all_gather_object(of_ranks, rows)
        gathered = torch.cat(of_ranks)
        # Sorted, so that the last digit does not depend on the order of ranks and resumed windows.
        values: Tensor = gathered[~gathered.isnan()].sort().values
        return values
