"""From settings to a generated dataset: what `qstar generate` does."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import Strategy

from qstar_pl.errors import UserError
from qstar_pl.generation.parts import build
from qstar_pl.generation.progress import GenerationProgress
from qstar_pl.generation.settings import GenerationSettings
from qstar_pl.generation.workspace import Workspace
from qstar_pl.generation.writer import GenerationWriter
from qstar_pl.locks import check_free
from qstar_pl.models.run_date import begin_run
from qstar_pl.models.tokenizers import first_line

ACCELERATORS = {"auto": "auto", "cpu": "cpu", "cuda": "gpu", "gpu": "gpu", "mps": "mps"}
"""Name in --device → Lightning's accelerator."""


@dataclass(frozen=True)
class GenerationRun:
    """The result of a run."""

    output: Path
    complete: bool
    """Whether all batches are there; False if the trainer was told to stop early."""
    rows: int
    """Rows of the whole output."""
    kept_rows: int
    """How many of them an earlier run had finished."""
    new_rows: int
    """Rows written by this process."""
    new_tokens: int
    """Tokens in those."""
    seconds: float
    """Time from the first batch on, without loading."""
    is_global_zero: bool
    """Whether this is the process that reports."""
    prompts: int = 0
    """Rows of the dataset that were answered."""
    cut_prompts: int = 0
    """How many of them lost turns or tokens to `max_prompt_tokens`."""
    drafting: str | None = None
    """What speculative sampling accepted and saved on this process; None where nothing was drafted."""


def resolve_device(device: str) -> tuple[str, int | list[int]]:
    """Return (kind, Lightning's `devices`) for "auto", "cpu", "cuda", "cuda:1" or "mps"."""
    kind, _, index = device.partition(":")
    if kind not in ACCELERATORS or (index and not index.isdigit()):
        raise UserError(f"device must be auto, cpu, cuda, cuda:<number> or mps, got {device!r}")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if (kind in ("cuda", "gpu") and not torch.cuda.is_available()) or (
        kind == "mps" and not torch.backends.mps.is_available()
    ):
        raise UserError(f"device must be one that this machine has (cpu, auto), got {device!r}")
    return ("cuda" if kind == "gpu" else kind), ([int(index)] if index else 1)


def generate_dataset(
    settings: GenerationSettings,
    output: str | Path,
    *,
    devices: int | list[int] | str = 1,
    strategy: str | Strategy = "auto",
    overwrite: bool = False,
    progress: bool = True,
    trainer_options: Mapping[str, Any] | None = None,
    date: str | None = None,
    attach: Callable[[Trainer], None] | None = None,
) -> GenerationRun:
    """Generate a dataset, or continue one that was interrupted.

    Args:
        settings: what to generate.
        output: the file of rows; see `Workspace` for the others.
        devices: Lightning's; number of processes, or which devices.
        strategy: Lightning's; "ddp": every process holds all models; "fsdp2": they share the models' parameters, see
            `FSDP2Strategy`. Rows do not depend on it.
        overwrite: start again, whatever is there.
        progress: whether to show progress.
        trainer_options: further arguments of Lightning's Trainer.
        date: what chat templates take for today, as YYYY-MM-DD; None: the day on which the dataset was started.
        attach: called with the trainer before it starts.

    Returns:
        What was done, on every process.

    Raises:
        UserError: if something in the settings is wrong, `output` holds another run, or the disk is full.

    """
    workspace = Workspace(Path(output))
    if workspace.output.is_dir():
        raise UserError(f"output must be a file, got the folder {output}")
    asked = settings.as_dict()
    check_free(workspace.lock, str(workspace))  # before anything is loaded; locked once all processes have started
    if not overwrite:
        # Before anything is loaded, and before other processes are started, each of which would repeat it.
        # Data and models are compared by `GenerationWriter`, once they are read.
        workspace.check({"settings": asked})
        if workspace.complete:
            workspace.sweep()
            stored = workspace.stored()
            rows, prompts = stored["totals"]["rows"], stored["data"]
            workspace.check_whole(rows)
            return GenerationRun(
                workspace.output, True, rows, rows, 0, 0, 0.0, is_first(), prompts["used"], prompts["cut"]
            )
    # Before prompts are rendered; a run that continues keeps the day on which it was started.
    begin_run(date or (None if overwrite else workspace.stored().get("date")))
    module, data = build(settings)
    workspace.check_apart(data.path)
    kind: Any = settings.save_diagnostics
    writer = GenerationWriter(str(output), kind, settings=asked, overwrite=overwrite)
    bar = GenerationProgress(show=progress)
    trainer = _trainer(settings, devices, strategy, [writer, bar], dict(trainer_options or {}))
    if attach is not None:
        attach(trainer)
    # The writer has them on disk; returned, all answers would have to fit into memory.
    trainer.predict(module, datamodule=data, return_predictions=False)
    return GenerationRun(
        output=workspace.output,
        complete=workspace.complete,
        rows=data.plan.rows,
        kept_rows=writer.kept_rows,
        new_rows=writer.written_rows,
        new_tokens=bar.tokens,
        seconds=bar.seconds,
        is_global_zero=trainer.is_global_zero,
        prompts=len(data.prompts.encoded),
        cut_prompts=data.prompts.cut,
        drafting=module.drafting.line(),
    )


def is_first() -> bool:
    """Return whether this is the process that reports, before there is a trainer to ask."""
    # torchrun sets RANK, SLURM SLURM_PROCID, and Lightning's own launcher LOCAL_RANK.
    return int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", os.environ.get("LOCAL_RANK", "0")))) == 0


def _trainer(
    settings: GenerationSettings,
    devices: int | list[int] | str,
    strategy: str | Strategy,
    callbacks: list[Callback],
    options: dict[str, Any],
) -> Trainer:
    try:
        return Trainer(
            accelerator=ACCELERATORS[settings.device],
            devices=devices,
            strategy=strategy,
            precision=settings.precision,  # type: ignore[arg-type]  # checked by Lightning
            callbacks=callbacks,
            **{
                "logger": False,
                "enable_checkpointing": False,
                "enable_model_summary": False,
                "enable_progress_bar": False,
                "use_distributed_sampler": False,  # `GenerationData` deals the batches itself
                **options,
            },
        )
    except (ValueError, MisconfigurationException) as error:
        raise UserError(
            f"device, devices, strategy and precision must suit each other, got {settings.device}, {devices}, "
            f"{strategy} and {settings.precision}: {first_line(error)}"
        ) from error
