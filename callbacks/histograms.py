"""Distributions that are worth more than their mean, for loggers that can draw them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from torch import Tensor

from qstar_pl.checks import at_least
from qstar_pl.types import RolloutReport, StepReport

from .log_weights import row_log_weights
from .reductions import widen
from .schedule import EveryNSteps


class Histograms(Callback):
    """Histograms of rank zero's latest micro-step, for W&B and TensorBoard; does nothing with other loggers.

    - `histogram/<name>` = each of the method's own (margins, a learned β, …)
    - `histogram/log_weights` = Σ_t log π_θ/q of each answer, raw
    - `histogram/alpha` = α of each counted token
    - `histogram/rewards` = reward of each answer

    Args:
        every_n_steps: optimizer steps between two sets of histograms.

    Raises:
        UserError: if `every_n_steps` is below 1.

    """

    def __init__(self, every_n_steps: int = 100) -> None:
        at_least(1, every_n_steps=every_n_steps)
        self._schedule = EveryNSteps(every_n_steps)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count from the step that training starts or resumes at."""
        self._schedule.start(trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log the histograms when they are due."""
        report = outputs.get("report") if isinstance(outputs, Mapping) else None
        # Asked first, in every micro-step: the schedule keeps track of the steps it is asked about.
        if not self._schedule.is_due(trainer.global_step) or not isinstance(report, StepReport):
            return
        loggers = [one for one in trainer.loggers if isinstance(one, WandbLogger | TensorBoardLogger)]
        if trainer.is_global_zero and loggers:
            values = distributions(report)
            for logger in loggers:
                _log(logger, values, trainer.global_step)


@torch.no_grad()
def distributions(report: StepReport) -> dict[str, Tensor]:
    """Return what is drawn, each 1-D and on the host; empty ones are left out."""
    values = dict(report.histograms)
    if isinstance(report, RolloutReport):
        rollout = report.weighted.scored.rollout
        log_weights, answers = row_log_weights(report.weighted.log_weights, rollout.completion_mask)
        values |= {
            "log_weights": log_weights[answers],
            "alpha": rollout.alpha[rollout.completion_mask],
            "rewards": report.weighted.scored.rewards[answers],
        }
    return {f"histogram/{name}": widen(value).flatten().cpu() for name, value in values.items() if value.numel()}


def _log(logger: WandbLogger | TensorBoardLogger, values: Mapping[str, Tensor], step: int) -> None:
    # Neither library draws values that are not finite.
    finite = {name: value[value.isfinite()] for name, value in values.items()}
    if isinstance(logger, TensorBoardLogger):
        for name, value in finite.items():
            if value.numel():
                logger.experiment.add_histogram(name, value, step)
        return
    import wandb  # optional: there is a WandbLogger only where it is installed

    drawn: dict[str, Any] = {name: wandb.Histogram(value.tolist()) for name, value in finite.items() if value.numel()}
    logger.log_metrics(drawn, step)
