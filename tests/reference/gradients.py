"""A regression whose per-micro-step gradients are cheap to get one by one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from qstar_pl.callbacks import GradientDiagnostic
from qstar_pl.types import StepReport

from .toy_training import Memory

Batches = list[tuple[Tensor, Tensor]]


def data(micro_steps: int, batch: int = 3) -> Batches:
    generator = torch.Generator().manual_seed(1)
    xs = torch.randn(micro_steps, batch, 4, generator=generator, dtype=torch.float64)
    ys = torch.randn(micro_steps, batch, 3, generator=generator, dtype=torch.float64)
    return list(zip(xs, ys, strict=True))


class Regression(LightningModule):
    """Least squares; `rank_batches` picks this rank's part of a micro-step."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(4, 3, dtype=torch.float64)

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        return (self.layer(batch[0]) - batch[1]).square().mean()

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        x, y = batch
        world, rank = self.trainer.world_size, self.trainer.global_rank
        part = (x.chunk(world)[rank], y.chunk(world)[rank])
        loss = self.loss(part)
        return {"loss": loss, "report": StepReport(loss.detach(), {}, len(part[0]), 5)}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.layer.parameters(), lr=0.05)


def flat_gradient(module: Regression, batch: tuple[Tensor, Tensor]) -> np.ndarray:
    gradients = torch.autograd.grad(module.loss(batch), list(module.layer.parameters()))
    return torch.cat([g.flatten() for g in gradients]).numpy()


def brute_force(batches: Batches, accumulate: int) -> list[list[np.ndarray]]:
    """[optimizer step][micro-step] gradients, with the optimizer's own steps in between."""
    module = Regression()
    steps = []
    for start in range(0, len(batches), accumulate):
        part = batches[start : start + accumulate]
        gradients = [flat_gradient(module, batch) for batch in part]
        steps.append(gradients)
        # Lightning divides by `accumulate` also where fewer micro-steps are left.
        step = torch.from_numpy(np.sum(gradients, 0) / accumulate)
        offset = 0
        for parameter in module.layer.parameters():
            parameter.data -= 0.05 * step[offset : offset + parameter.numel()].view_as(parameter)
            offset += parameter.numel()
    return steps


def expected(steps: list[list[np.ndarray]], accumulate: int, batch: int) -> dict[str, float]:
    """The definitions, with np.cov for the variance."""
    variances = [float(np.trace(np.cov(np.array(g).T))) for g in steps]
    signals = [float((np.mean(g, 0) ** 2).sum()) - v / len(g) for g, v in zip(steps, variances, strict=True)]
    norms = [float(((np.sum(g, 0) / accumulate) ** 2).sum()) for g in steps]
    snr = np.mean(signals) / np.mean(variances)
    metrics = {"grad/variance": np.mean(variances), "grad/norm": math.sqrt(np.mean(norms)), "grad/snr": snr}
    return metrics | ({"grad/noise_scale": batch / snr} if snr > 0 else {})


def fit(
    micro_steps: int,
    accumulate: int,
    *,
    every: int = 1,
    module: Regression | None = None,
    diagnostic: GradientDiagnostic | None = None,
    batch: int = 3,
    **options: Any,
) -> tuple[Trainer, Memory]:
    logger = Memory()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=[logger],
        log_every_n_steps=every,
        callbacks=[diagnostic or GradientDiagnostic()],
        accumulate_grad_batches=accumulate,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
        **options,
    )
    trainer.fit(module or Regression(), DataLoader(data(micro_steps, batch), batch_size=None))
    return trainer, logger
