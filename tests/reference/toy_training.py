"""A real Trainer around hand-built rollouts, so that the callbacks are driven as in training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers.logger import Logger
from torch import Tensor
from torch.utils.data import DataLoader

from qstar_pl.types import (
    Example,
    PromptBatch,
    Rollout,
    RolloutReport,
    SamplerInfo,
    ScoredRollout,
    StepReport,
    Turn,
    WeightedRollout,
)

Rows = dict[str, Any]


def make_rows(count: int, time: int, *, seed: int = 0, spread: float = 0.3, samples: int = 1) -> Rows:
    """Answers of random lengths, `samples` to a prompt, consistent log-probabilities; garbage where mask is False."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, time + 1, count)
    mask = np.arange(time) < lengths[:, None]
    policy = rng.normal(-3, 1, (count, time))
    log_weights = rng.normal(0, spread, (count, time))
    rows = {
        "prompt": np.arange(count) // samples,
        "mask": mask,
        "policy": policy,
        "log_weights": log_weights,
        "behavior": policy - log_weights,
        "target": rng.normal(-3, 1, (count, time)),
        "reference": policy + rng.normal(0, 0.5, (count, time)),
        "weights": np.repeat(rng.uniform(0.1, 2, (count, 1)), time, 1),
        "clipping": np.repeat(rng.choice([-1.0, 0.0, 0.0, 1.0], (count, 1)), time, 1),
        "alpha": rng.uniform(0.3, 0.7, (count, time)),
        "log_z": -rng.uniform(0, 0.2, (count, time)),
        "ess_policy": rng.uniform(0.5, 1, (count, time)),
        "ess_target": rng.uniform(0.4, 0.9, (count, time)),
        "kl_policy": rng.uniform(0, 0.3, (count, time)),
        "kl_target": rng.uniform(0, 0.4, (count, time)),
        "uncovered": rng.uniform(0, 0.05, (count, time)),
        "rewards": rng.normal(1, 2, count),
        "gold": rng.normal(3, 1, count),
        "ended": rng.uniform(0, 1, count) < 0.6,
    }
    return {k: v if v.dtype == bool or v.ndim == 1 else np.where(mask, v, 1e3 * rng.normal()) for k, v in rows.items()}


def take(rows: Rows, chosen: Sequence[int], pads: int = 0) -> Rows:
    """Some of the answers, with `pads` more positions that do not count and hold garbage."""
    part = {key: value[list(chosen)] for key, value in rows.items()}
    if pads:
        for key, value in part.items():
            if value.ndim == 2:
                fill = np.zeros((len(value), pads), bool) if value.dtype == bool else np.full((len(value), pads), 77.0)
                part[key] = np.concatenate([value, fill], 1)
    return part


def report_of(rows: Rows, loss: Tensor) -> RolloutReport:
    """A `RolloutReport` of the answers, in float32 as a model would give it."""

    def tensor(name: str) -> Tensor:
        value = torch.from_numpy(np.ascontiguousarray(rows[name]))
        return (value if value.dtype == torch.bool else value.float()).to(loss.device)

    count, time = rows["mask"].shape
    names, index_of_row = np.unique(rows["prompt"], return_inverse=True)
    examples = tuple(Example(i, (Turn("user", f"prompt {i} [bold]"),)) for i in range(len(names)))
    index = torch.arange(len(names), device=loss.device)
    prompts = PromptBatch(index[:, None], torch.ones_like(index[:, None], dtype=torch.bool), index, examples)
    rollout = Rollout(
        prompts=prompts,
        prompt_index=torch.from_numpy(index_of_row).to(loss.device),
        completion_ids=torch.zeros(count, time, dtype=torch.int64, device=loss.device),
        completion_mask=tensor("mask"),
        ended_mask=tensor("ended"),
        behavior_logprobs=tensor("behavior"),
        policy_logprobs=tensor("policy"),
        target_logprobs=tensor("target"),
        alpha=tensor("alpha"),
        log_z=tensor("log_z"),
        ess_policy=tensor("ess_policy"),
        ess_target=tensor("ess_target"),
        kl_behavior_policy=tensor("kl_policy"),
        kl_behavior_target=tensor("kl_target"),
        uncovered_mass=tensor("uncovered"),
        info=SamplerInfo(exact=True, seed=0),
    )
    scored = ScoredRollout(rollout, tensor("rewards"), {"gold": tensor("gold")})
    weighted = WeightedRollout(
        scored, tensor("log_weights"), tensor("weights"), tensor("clipping"), torch.zeros_like(rollout.alpha)
    )
    return RolloutReport(
        loss=loss.detach(),
        terms={"policy": 2 * loss.detach()},
        samples=count,
        tokens=int(rows["mask"].sum()),
        histograms={"beta": torch.linspace(0, 1, 5)},
        weighted=weighted,
        reference_logprobs=tensor("reference"),
        completions=tuple(f"answer {i} [red]" for i in range(count)),
    )


class Memory(Logger):
    """Keeps every call of `log_metrics`."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[int, dict[str, float]]] = []

    @property
    def name(self) -> str:
        return "memory"

    @property
    def version(self) -> int:
        return 0

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None: ...

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        assert step is not None
        self.calls.append((step, dict(metrics)))


class Toy(LightningModule):
    """One weight; micro-step `i` has the report that `reports(i, loss)` gives and the loss weight · (1 + i)."""

    def __init__(self, reports: Callable[[int, Tensor], StepReport | None]) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.reports = reports

    def training_step(self, batch: Tensor, batch_idx: int) -> dict[str, Any]:
        number = batch_idx  # it goes on after a resume, where a plain loader begins anew
        loss = self.weight * (1.0 + number)
        return {"loss": loss, "report": self.reports(number, loss)}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def train(
    reports: Callable[[int, Tensor], StepReport | None],
    micro_steps: int,
    callbacks: Sequence[Callback],
    *,
    every: int = 1,
    folder: Path | None = None,
    ckpt_path: Path | None = None,
    **options: Any,
) -> tuple[Trainer, Memory]:
    """Train the toy on `micro_steps` micro-steps, logging every `every` optimizer steps."""
    logger = Memory()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=[logger, *options.pop("loggers", ())],
        log_every_n_steps=every,
        callbacks=list(callbacks),
        enable_progress_bar=options.pop("enable_progress_bar", False),
        enable_model_summary=False,
        enable_checkpointing=options.pop("enable_checkpointing", False),
        use_distributed_sampler=False,
        default_root_dir=folder,
        **options,
    )
    trainer.fit(Toy(reports), DataLoader(list(range(micro_steps)), batch_size=None), ckpt_path=ckpt_path)
    return trainer, logger
