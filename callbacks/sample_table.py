"""Some sampled answers, to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import WandbLogger
from rich.table import Table

from qstar_pl.checks import at_least
from qstar_pl.console import SpellingConsole
from qstar_pl.types import RolloutReport

from .log_weights import row_log_weights
from .reductions import widen
from .schedule import EveryNSteps

_COLUMNS = ["prompt", "completion", "reward", "weight", "alpha"]


class SampleTable(Callback):
    """Shows the first answers of rank zero's latest micro-step every n optimizer steps, and as a W&B table.

    - reward: of the answer
    - weight: exp Σ_t log π_θ/q, raw
    - alpha: mean over the answer's tokens

    It logs no metric. One copy to the host per table.

    Args:
        every_n_steps: optimizer steps between two tables.
        rows: answers per table.
        width: characters of prompt (its end) and of completion (its beginning) shown in the terminal.

    Raises:
        UserError: if an argument is below 1.

    """

    def __init__(self, every_n_steps: int = 50, rows: int = 4, width: int = 240) -> None:
        for name, value in {"every_n_steps": every_n_steps, "rows": rows, "width": width}.items():
            at_least(1, **{name: value})
        self.rows = rows
        self.width = width
        self._schedule = EveryNSteps(every_n_steps)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count from the step that training starts or resumes at."""
        self._schedule.start(trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show the table when it is due."""
        report = outputs.get("report") if isinstance(outputs, Mapping) else None
        if not self._schedule.is_due(trainer.global_step) or not isinstance(report, RolloutReport):
            return
        if trainer.is_global_zero and len(report.completions):
            rows = sample_rows(report, self.rows)
            _print(trainer, _render(rows, self.width, trainer.global_step))
            for logger in trainer.loggers:
                if isinstance(logger, WandbLogger):
                    logger.log_table("samples", columns=_COLUMNS, data=rows, step=trainer.global_step)


@torch.no_grad()
def sample_rows(report: RolloutReport, count: int) -> list[list[Any]]:
    """Return [prompt, completion, reward, weight, alpha] of the first `count` answers; one copy to the host."""
    scored = report.weighted.scored
    rollout = scored.rollout
    mask = rollout.completion_mask
    alpha, _ = row_log_weights(rollout.alpha, mask)  # a masked sum over time, here of α
    log_weights, _ = row_log_weights(report.weighted.log_weights, mask)
    numbers = torch.stack(
        [widen(rollout.prompt_index), widen(scored.rewards), log_weights.exp(), alpha / mask.sum(-1).clamp_min(1)]
    )[:, :count]
    rows: list[list[Any]] = []  # zip ends with the numbers, which are those of the first `count` answers
    for (prompt, *values), completion in zip(numbers.T.tolist(), report.completions, strict=False):
        turns = rollout.prompts.examples[int(prompt)].turns
        rows.append([turns[-1].content if turns else "", completion, *values])
    return rows


def _render(rows: list[list[Any]], width: int, step: int) -> str:
    console = SpellingConsole()
    table = Table(title=f"samples at step {step}", show_lines=True)
    for name in _COLUMNS:
        table.add_column(name, overflow="fold", justify="left" if name in ("prompt", "completion") else "right")
    for prompt, completion, *numbers in rows:
        # Verbatim, since what a model writes may look like rich's markup.
        texts = [console.verbatim(prompt[-width:]), console.verbatim(completion[:width])]
        table.add_row(*texts, *(f"{number:.3g}" for number in numbers))
    # Drawn into a string as the terminal would show it, since the progress bar does the printing.
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def _print(trainer: Trainer, text: str) -> None:
    """Print above the progress bar, if there is one."""
    bar = trainer.progress_bar_callback
    (print if bar is None else bar.print)(text)
