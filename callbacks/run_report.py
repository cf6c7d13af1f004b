"""What is about to run, in one table, so that nobody has to guess a batch size or a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import nn


class RunReport(Callback):
    """Prints, once per fit and on rank zero, the resolved model, data, effective batch and place of the logs.

    Effective batch = batch size per device × accumulate_grad_batches × devices × nodes: the rows of the data per
    optimizer step. A method that samples turns each of them into `samples_per_prompt` answers.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the report; in this hook, since earlier ones have no data loaders yet."""
        facts = run_facts(trainer, pl_module)  # on every rank: the log folder is agreed on by a broadcast
        if trainer.is_global_zero:
            table = Table(title="run", show_header=False)
            for name, fact in facts.items():
                table.add_row(name, Text(fact))
            Console().print(table)


def run_facts(trainer: Trainer, pl_module: LightningModule) -> dict[str, str]:
    """Return the lines of the report; every rank must call it."""
    facts = {"method": type(pl_module).__name__, "parameters": _parameters(pl_module)}
    for name, child in pl_module.named_children():
        facts[f"  {name}"] = f"{_class_name(child)}, {_parameters(child)}"
    facts |= _data_facts(trainer)
    facts |= _batch_facts(trainer, pl_module)
    facts["steps"] = _steps(trainer)
    facts["precision"] = str(trainer.precision)
    facts["devices"] = (
        f"{trainer.world_size} × {trainer.strategy.root_device.type}"
        f" ({type(trainer.strategy).__name__}, {trainer.num_nodes} node{'s' * (trainer.num_nodes > 1)})"
    )
    facts["log folder"] = str(trainer.log_dir)
    return facts


def _class_name(module: nn.Module) -> str:
    """Name the class, and that of the model it wraps, if it wraps one."""
    inner = getattr(module, "model", None)
    return type(module).__name__ + (f"({type(inner).__name__})" if isinstance(inner, nn.Module) else "")


def _parameters(module: nn.Module) -> str:
    # numel of a sharded parameter (DTensor) is that of the whole.
    trainable = sum(p.numel() for p in module.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in module.parameters() if not p.requires_grad)
    return f"{trainable:,} trainable, {frozen:,} frozen"


def _data_facts(trainer: Trainer) -> dict[str, str]:
    datamodule: Any = getattr(trainer, "datamodule", None)
    if datamodule is None:
        return {}
    facts = {"data": type(datamodule).__name__}
    report = getattr(datamodule, "report", None)
    report = report() if callable(report) else report
    if isinstance(report, Mapping):
        facts |= {f"  {name}": str(value) for name, value in report.items()}
    elif report is not None:
        facts["  report"] = str(report)
    return facts


def _batch_facts(trainer: Trainer, pl_module: LightningModule) -> dict[str, str]:
    batch = _batch_size(trainer)
    accumulate, world = trainer.accumulate_grad_batches, trainer.world_size
    if batch is None:
        return {"effective batch": f"unknown per device × {accumulate} accumulated × {world} devices"}
    rows = batch * accumulate * world
    facts = {"effective batch": f"{batch} per device × {accumulate} accumulated × {world} devices = {rows}"}
    samples = getattr(pl_module, "samples_per_prompt", None)
    if isinstance(samples, int):
        facts["answers per step"] = f"{rows} prompts × {samples} samples = {rows * samples}"
    return facts


def _batch_size(trainer: Trainer) -> int | None:
    loader = trainer.train_dataloader
    # A loader that was given a batch sampler has batch_size None.
    for holder in (loader, getattr(loader, "batch_sampler", None), getattr(trainer, "datamodule", None)):
        size = getattr(holder, "batch_size", None)
        if isinstance(size, int):
            return size
    return None


def _steps(trainer: Trainer) -> str:
    total = trainer.estimated_stepping_batches
    planned = f"{int(total):,}" if total != float("inf") else "without end"
    return planned + (f", from {trainer.global_step:,}" if trainer.global_step else "")
