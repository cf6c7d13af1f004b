"""The files that `predict` writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from qstar_pl.cli.runs.folders import keep_earlier
from qstar_pl.data.records import json_line
from qstar_pl.errors import UserError
from qstar_pl.files import naming


def check_predicts(module: LightningModule) -> None:
    """Check that a method answers prompts, before anything is loaded.

    Raises:
        UserError: if it does not: there is nothing to predict.

    """
    if type(module).predict_step is LightningModule.predict_step and type(module).forward is LightningModule.forward:
        raise UserError(
            f"model must be a method that answers prompts for predict, got {type(module).__name__}; validate and test "
            "measure it"
        )


def write_predictions(
    trainer: Trainer, batches: Iterable[Iterable[Mapping[str, Any]]], folder: Path | None = None
) -> Path:
    """Write the records that `predict_step` returned, as `qstar generate` does; each process writes its own rows.

    predictions.jsonl holds answers, predictions.diagnostics.jsonl log-probabilities and the like, in the same order.

    Args:
        trainer: the one that predicted.
        batches: what it returned.
        folder: where to write; None: the run folder.

    Returns:
        The path of the answers.

    """
    suffix = f".{trainer.global_rank}" if trainer.world_size > 1 else ""
    folder = folder or Path(trainer.log_dir or ".")  # read on every rank, since this property broadcasts
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"predictions{suffix}.jsonl"
    beside = path.with_suffix(".diagnostics.jsonl")
    for file in (path, beside):
        keep_earlier(file)
    with naming(path), path.open("wb") as rows, beside.open("wb") as diagnostics:
        for row in (row for batch in batches for row in batch):
            rows.write(json_line({name: value for name, value in row.items() if name != "diagnostics"}))
            diagnostics.write(json_line(row.get("diagnostics", {})))  # a user's own method may return none
    return path
