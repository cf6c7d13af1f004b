"""What `predict` writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer

from qstar_pl.cli.runs.folders import keep_earlier
from qstar_pl.files import naming


def write_predictions(
    trainer: Trainer, batches: Iterable[Iterable[Mapping[str, Any]]], folder: Path | None = None
) -> Path:
    """Write what `predict_step` returned as JSON lines; each process writes its own rows.

    Args:
        trainer: that has predicted.
        batches: what it returned.
        folder: where to; None: the run folder.

    """
    suffix = f".{trainer.global_rank}" if trainer.world_size > 1 else ""
    folder = folder or Path(trainer.log_dir or ".")  # on every rank: it is broadcast
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"predictions{suffix}.jsonl"
    keep_earlier(path)
    with naming(path), path.open("w", encoding="utf-8") as file:
        for row in (row for batch in batches for row in batch):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path
