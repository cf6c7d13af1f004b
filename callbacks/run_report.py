"""What is about to run, in a few lines, so that nobody has to guess a batch size or a model."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from torch import nn

from qstar_pl.console import SpellingConsole, fact_lines

from .planned import planned_steps


class RunReport(Callback):
    """Prints, once per fit and on rank zero, the models, effective batch, steps, devices and place of the logs.

    Effective batch = batch size per device × accumulate_grad_batches × devices × nodes: the rows of the data per
    optimizer step. A method that samples turns each of them into `samples_per_prompt` answers. What became of the rows
    is printed by the data module itself.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the report; in this hook, since earlier ones have no data loaders yet."""
        facts = run_facts(trainer, pl_module)  # on every rank: the log folder is agreed on by a broadcast
        if trainer.is_global_zero:
            text = "\n".join([f"{type(pl_module).__name__}:", *fact_lines(facts)])
            SpellingConsole().print(text, markup=False, highlight=False, soft_wrap=True)


def run_facts(trainer: Trainer, pl_module: LightningModule) -> dict[str, str]:
    """Return the lines of the report; every rank must call it."""
    facts = _parameters(pl_module) | _batch_facts(trainer, pl_module)
    facts["steps"] = _steps(trainer, pl_module)
    facts["devices"] = (
        f"{trainer.world_size} × {trainer.strategy.root_device.type}, {trainer.precision}"
        f" ({type(trainer.strategy).__name__}, {trainer.num_nodes} node{'s' * (trainer.num_nodes > 1)})"
    )
    folder = str(trainer.log_dir)  # read on every rank, since this property broadcasts
    # The command line has said it, before it loaded anything.
    said = any(isinstance(callback, SaveConfigCallback) for callback in trainer.callbacks)  # type: ignore[attr-defined]
    written = bool(trainer.loggers) and not trainer.fast_dev_run  # type: ignore[attr-defined]
    return {**facts, "logs": folder} if written and not said else facts


def _parameters(module: nn.Module) -> dict[str, str]:
    trained, frozen = dict[str, int](), dict[str, int]()
    for name, child in module.named_children():
        for group, wanted in ((trained, True), (frozen, False)):
            # numel of a sharded parameter (DTensor) is that of the whole.
            count = sum(p.numel() for p in child.parameters() if p.requires_grad is wanted)
            if count:
                group[f"{name} ({_class_name(child)})" if wanted else name] = count
    return {"trained": _counted(trained), "frozen": _counted(frozen)} if frozen else {"trained": _counted(trained)}


def _counted(parts: dict[str, int]) -> str:
    """Return the number of parameters, and whose they are."""
    if len(parts) < 2:
        return next((f"{name}, {count:,} parameters" for name, count in parts.items()), "nothing")
    texts = [f"{name} {count:,}" for name, count in parts.items()]
    return f"{sum(parts.values()):,} parameters: {', '.join(texts)}"


def _class_name(module: nn.Module) -> str:
    """Name the class, and that of the model it wraps, if it wraps one."""
    inner = getattr(module, "model", None)
    return type(module).__name__ + (f"({type(inner).__name__})" if isinstance(inner, nn.Module) else "")


def _batch_facts(trainer: Trainer, pl_module: LightningModule) -> dict[str, str]:
    batch = _batch_size(trainer)
    accumulate, world = trainer.accumulate_grad_batches, trainer.world_size
    if batch is None:
        return {"batch": f"unknown per device × {accumulate} accumulated × {world} devices"}
    rows = batch * accumulate * world
    # A data module that reports has said it.
    said = hasattr(getattr(getattr(trainer, "datamodule", None), "report", None), "effective_batch")
    facts = {} if said else {"batch": f"{batch} per device × {accumulate} accumulated × {world} devices = {rows}"}
    samples = getattr(pl_module, "samples_per_prompt", None)
    if isinstance(samples, int):
        facts["answers"] = f"{rows} prompts × {samples} samples = {rows * samples} per step"
    return facts


def _batch_size(trainer: Trainer) -> int | None:
    # What a data module reports is the batch that is made, smaller than asked for where there are fewer rows.
    report, loader = getattr(getattr(trainer, "datamodule", None), "report", None), trainer.train_dataloader
    # A loader that was given a batch sampler has batch_size None.
    for holder in (report, loader, getattr(loader, "batch_sampler", None), getattr(trainer, "datamodule", None)):
        size: Any = getattr(holder, "batch_size", None)
        if isinstance(size, int):
            return size
    return None


def _steps(trainer: Trainer, pl_module: LightningModule) -> str:
    total, per_batch = planned_steps(trainer, pl_module), getattr(pl_module, "steps_per_batch", 1)
    planned = f"{int(total):,}" if total != float("inf") else "without end"
    if per_batch > 1:
        beyond = f", max_steps {trainer.max_steps:,}" if 0 <= trainer.max_steps < total < float("inf") else ""
        planned += f" ({per_batch} per batch{beyond})"
    planned += f", from {trainer.global_step:,}" if trainer.global_step else ""
    every = trainer.log_every_n_steps  # type: ignore[attr-defined]
    if not trainer.loggers or not every or trainer.fast_dev_run:  # type: ignore[attr-defined]
        return planned
    return f"{planned}; metrics " + (f"every {every}" if total > every else "at the end")
