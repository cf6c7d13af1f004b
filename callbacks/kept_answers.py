"""The answers to all held-out prompts, before training and now, for a report to compare."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from qstar_pl.files import write_text
from qstar_pl.run_folders.kept import ANSWERS, whole_lines
from qstar_pl.types import AnsweredPrompts, Example

from .run_files import as_line, run_folder


class KeptAnswers(Callback):
    """Keeps the answers of the validation at step 0, and of the last one, in answers.jsonl beside metrics.csv.

    They are those that validation draws anyway, one per prompt, with the rewards that a metric has asked for: nothing
    is drawn or scored for it. Prompts are numbered in the order of the held-out set, whatever rank answers them. The
    file is replaced as a whole after each validation; a run that goes on from a checkpoint ends with the same one.
    """

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew."""
        self._rows = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Note the batch's answers, if it is one of prompts."""
        answers = outputs.get("answers") if isinstance(outputs, Mapping) else None
        if not isinstance(answers, AnsweredPrompts) or not _is_kept(trainer):
            return
        tokens = answers.tokens.tolist()
        gold, proxy = (_numbers(answers.rewards.get(name), len(tokens)) for name in ("gold", "proxy"))
        for row, example in enumerate(answers.examples):
            self._rows.append(
                {
                    "step": trainer.global_step,
                    # Evaluation deals the prompts out to the ranks one by one (`evaluation_batches`).
                    "prompt": len(self._rows) * trainer.world_size + trainer.global_rank,
                    "key": str(example.key),
                    "part": example.part,
                    "prompt_text": _text(example),
                    "completion": answers.texts[row],
                    "tokens": tokens[row],
                    "reward_gold": gold[row],
                    "reward_proxy": proxy[row],
                }
            )

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the answers of all ranks, with those from before the first step."""
        if not _is_kept(trainer):
            return
        of_ranks: list[Any] = [self._rows]
        if trainer.world_size > 1:
            of_ranks = [None] * trainer.world_size
            torch.distributed.all_gather_object(of_ranks, self._rows)
        rows = [row for of_rank in of_ranks for row in of_rank]
        self._rows = []
        folder = run_folder(trainer)
        if rows and trainer.is_global_zero and folder is not None:
            rows.sort(key=lambda row: int(row["prompt"]))
            start = [row for row in whole_lines(folder / ANSWERS) if row["step"] == 0 < trainer.global_step]
            write_text(folder / ANSWERS, "".join(map(as_line, [*start, *rows])))


def _is_kept(trainer: Trainer) -> bool:
    """Return whether this validation is one of a run with a folder; the same on all ranks."""
    return trainer.state.fn == "fit" and not trainer.sanity_checking and run_folder(trainer) is not None


def _text(example: Example) -> str:
    """Return a prompt as it is read: who says what, where it is a dialogue."""
    turns = example.turns
    return turns[0].content if len(turns) == 1 else "\n".join(f"{turn.role}: {turn.content}" for turn in turns)


def _numbers(rewards: Tensor | None, count: int) -> list[float | None]:
    """Return rewards [rows] as plain numbers, None for what is not known."""
    values = [None] * count if rewards is None else rewards.tolist()
    return [value if value is not None and math.isfinite(value) else None for value in values]
