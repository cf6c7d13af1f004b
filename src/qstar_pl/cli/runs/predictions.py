"""What `predict` writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer

from qstar_pl.cli.runs.folders import keep_earlier
from qstar_pl.data.records import json_line
from qstar_pl.files import naming


def write_predictions(
    trainer: Trainer, batches: Iterable[Iterable[Mapping[str, Any]]], folder: Path | None = None
) -> Path:
    """Write the records that `predict_step` returned as `qstar generate` does; each process writes its own rows.

    predictions.jsonl holds answers, predictions.diagnostics.jsonl log-probabilities and the like, in the same order.

    Args:
        trainer: that has predicted.
        batches: what it returned.
        folder: where to; None: the run folder.

    Returns:
        The file of answers.

    """
    suffix = f".{trainer.global_rank}" if trainer.world_size > 1 else ""
    folder = folder or Path(trainer.log_dir or ".")  # on every rank: it is broadcast
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"predictions{suffix}.jsonl"
    beside = path.with_suffix(".diagnostics.jsonl")
    for file in (path, beside):
        keep_earlier(file)
    with naming(path), path.open("wb") as rows, beside.open("wb") as diagnostics:
        for row in (row for batch in batches for row in batch):
            rows.write(json_line({name: value for name, value in row.items() if name != "diagnostics"}))
            diagnostics.write(json_line(row.get("diagnostics", {})))  # a method of the user's may know none
    return path
