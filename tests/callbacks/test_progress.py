"""The progress bar, and the lines that stand for it where there is no terminal."""

import io
import re
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from reference.toy_training import Toy
from rich.console import Console
from torch import Tensor
from torch.utils.data import DataLoader

from qstar_pl.callbacks import StepProgressBar
from qstar_pl.callbacks.progress import _clock, _short
from qstar_pl.types import StepReport

WIDTH = 80


def reports(number: int, loss: Tensor) -> StepReport:
    return StepReport(loss.detach(), {}, 1, 1, {})


def fit(bar: StepProgressBar, *others: Callback, **options: int) -> None:
    trainer = Trainer(
        accelerator="cpu",
        callbacks=[bar, *others],
        logger=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        **options,
    )
    trainer.fit(Toy(reports), DataLoader([0, 1, 2], batch_size=None))


@pytest.mark.parametrize(
    ("options", "last"),
    [
        ({"max_steps": 7}, "step 7/7"),
        ({"max_steps": 2, "accumulate_grad_batches": 2}, "step 2/2"),
        ({"max_epochs": 2}, "step 6/6"),
    ],
    ids=["steps", "accumulated", "epochs"],
)
def test_lines_without_a_terminal(options: dict[str, int], last: str, capsys: pytest.CaptureFixture[str]) -> None:
    fit(StepProgressBar(), **options)
    first, *rest = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    assert re.fullmatch(rf"step 1/{last[-1]}, \d:\d\d left", first)
    assert len(rest) == 1
    assert rest[0].startswith(f"{last}, 0:00 taken")


class Late(Callback):
    """Logs a metric of the step after the bar has counted it, as diagnostics do."""

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self.log("done", float(trainer.global_step), prog_bar=True)


def test_each_step_is_said_once_and_with_its_own_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    fit(StepProgressBar(every_s=0), Late(), max_steps=4)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    assert [re.sub(", .*, ", " ", line) for line in lines] == [f"step {step}/4 done {step}" for step in range(1, 5)]


@pytest.mark.parametrize("options", [{"max_steps": 0}, {"max_epochs": 1, "limit_train_batches": 0}])
def test_nothing_is_said_of_a_run_without_steps(options: dict[str, int], capsys: pytest.CaptureFixture[str]) -> None:
    fit(StepProgressBar(), **options)
    assert "step" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "drawn"),
    [({"max_steps": 7}, "step .* 7/7 0:0"), ({"max_epochs": 2}, "epoch 2/2 .* 3/3 0:0")],
    ids=["steps", "epochs"],
)
def test_bar_counts_what_ends_the_run(options: dict[str, int], drawn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=WIDTH)
    monkeypatch.setattr("qstar_pl.callbacks.progress.SpellingConsole", lambda: terminal)
    monkeypatch.setattr("lightning.pytorch.callbacks.progress.rich_progress.get_console", lambda: terminal)
    fit(StepProgressBar(), **options)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue()).splitlines()
    assert re.search(drawn, lines[-1] or lines[-2])
    assert max(map(len, lines)) <= WIDTH


def test_names_and_times_are_short() -> None:
    metrics = {"v_num": 3, "alpha/mean": 0.5, "loss/total": torch.tensor(1.0).item(), "ess/ratio": 1.0, "note": "text"}
    assert _short(metrics) == {"alpha": 0.5, "loss": 1.0, "ess/ratio": 1.0}
    assert [_clock(seconds) for seconds in (0.2, 65, 3599, 3661)] == ["0:00", "1:05", "59:59", "1:01:01"]
