"""Options of the trainer, optimizer and schedule that make no sense: one line, whoever would have failed with them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Union

import pytest
from jsonargparse import ArgumentParser
from small_run import SMALL

from qstar_pl.cli.trainer_options import spelled_out, whole_first

Call = Callable[..., tuple[int, str, str]]
SFT = (*SMALL, "--model=SFT", "--model.evaluation_sampler.max_new_tokens=4", "--trainer.max_steps=2")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches must be at least 1, got 0"),
        ("--trainer.accumulate_grad_batches=-2", "trainer.accumulate_grad_batches must be at least 1, got -2"),
        ("--trainer.val_check_interval=0", "trainer.val_check_interval must be positive, got 0"),
        ("--trainer.val_check_interval=1000000", "`val_check_interval` (1000000) must be less than or equal to"),
        ("--trainer.check_val_every_n_epoch=0", "trainer.check_val_every_n_epoch must be at least 1, got 0"),
        ("--trainer.gradient_clip_val=-1", "trainer.gradient_clip_val must be at least 0, got -1"),
        ("--trainer.log_every_n_steps=-1", "trainer.log_every_n_steps must be at least 0, got -1"),
        ("--trainer.num_sanity_val_steps=-3", "trainer.num_sanity_val_steps must be at least -1, got -3"),
        (
            "--trainer.devices=none_such",
            "trainer.devices must be auto, a number of them, or numbers such as 0,1, got none_such",
        ),
        ("--seed_everything=-1", "seed_everything must be a seed: -1"),
        ("--model.optimizer=AdamW --model.optimizer.lr=-1", "Invalid learning rate: -1.0"),
        ("--model.optimizer=Muon", "optimizer must suit the model's parameters and its own options: Muon only"),
        (
            "--model.lr_scheduler=CosineWithWarmup --model.lr_scheduler.warmup_steps=9",
            "total_steps must be above warmup_steps (9), got 2",
        ),
        ("--model.lr_scheduler=ReduceLROnPlateau", "monitor"),
        ("--model.lr_scheduler torch.optim.lr_scheduler.ReduceLROnPlateau", "lr_scheduler.monitor must be given"),
        (
            "--model.lr_scheduler ReduceLROnPlateau --model.lr_scheduler.monitor=val/nothing",
            "lr_scheduler.monitor must be a metric that validation measures",
        ),
        (
            "--model.lr_scheduler=CosineAnnealingLR --model.lr_scheduler.T_max=0 --trainer.limit_val_batches=0",
            "lr_scheduler must suit the length of the run and its own options, got CosineAnnealingLR",
        ),
        (
            "--model.lr_scheduler=OneCycleLR --model.lr_scheduler.max_lr=1 --model.lr_scheduler.total_steps=1",
            "lr_scheduler must suit the length of the run and its own options, got OneCycleLR",
        ),
        ("--trainer.callbacks+=LearningRateFinder", "When using the learning rate finder"),
        (
            "--trainer.callbacks+=EarlyStopping --trainer.callbacks.monitor=val/nothing --trainer.val_check_interval=1",
            "monitor of EarlyStopping must be a metric that the run logs, got val/nothing; logged: ",
        ),
    ],
)
def test_one_line(words: str, message: str, qstar: Call) -> None:
    code, _, err = qstar("fit", *SFT, *words.split())
    assert code == 2, err
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert message in line


@pytest.mark.parametrize("monitor", ["val/perplexity", "loss/total"])
def test_a_rate_that_falls_on_a_plateau(monitor: str, qstar: Call) -> None:
    plateau = ("--model.lr_scheduler=ReduceLROnPlateau", f"--model.lr_scheduler.monitor={monitor}")
    options = ("--model.lr_scheduler.patience=0", "--model.lr_scheduler.threshold=9", "--model.optimizer=AdamW")
    words = ("--model.optimizer.lr=0.01", "--trainer.val_check_interval=1", "--trainer.limit_val_batches=2")
    code, _, err = qstar("fit", *SFT, *plateau, *options, *words, "--trainer.max_steps=3")
    assert code == 0, err
    header, *rows = (Path("runs/sft/version_0/metrics.csv")).read_text().splitlines()
    column = header.split(",").index("lr")
    rates = [float(rate) for row in rows if (rate := row.split(",")[column])]
    assert rates == pytest.approx([0.01, 0.001, 0.0001])  # nothing is ever good enough


def test_without_validation_the_rate_stays_and_that_is_said(qstar: Call) -> None:
    plateau = ("--model.lr_scheduler=ReduceLROnPlateau", "--model.lr_scheduler.monitor=val/perplexity")
    with pytest.warns(UserWarning, match=r"rate stays as it is: lr_scheduler.monitor is val/perplexity, which a run"):
        code, _, err = qstar("fit", *SFT, *plateau, "--trainer.limit_val_batches=0")
    assert code == 0, err


def test_only_the_schedule_is_spelled_out() -> None:
    name = "ReduceLROnPlateau"
    words = ["fit", f"--model.lr_scheduler={name}", "--model.init_args.lr_scheduler", name, f"--name={name}", name]
    full = f"lightning.pytorch.cli.{name}"
    wanted = ["fit", f"--model.lr_scheduler={full}", "--model.init_args.lr_scheduler", full, f"--name={name}", name]
    assert spelled_out(words) == wanted


def test_one_batch_is_one_whatever_was_imported_before() -> None:
    """Typing gives Lightning's union in the order in which another package has first written it."""
    parser = ArgumentParser()
    parser.add_argument("--number", type=Union[float, int, None])  # noqa: UP007 (that of typing is the one with a cache)
    assert isinstance(parser.parse_args(["--number=1"]).number, float)
    action = next(one for one in parser._actions if one.dest == "number")
    action._typehint = whole_first(action._typehint)
    for word, value in (("1", 1), ("1.0", 1.0), ("0.5", 0.5), ("null", None)):
        found = parser.parse_args([f"--number={word}"]).number
        assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("value", ["2", "0.5"])
def test_every_share_or_number_of_the_trainer_is_read_as_a_number_first(value: str) -> None:
    """As if Lightning had been imported behind a union of the same types in the other order."""
    code = """
import datetime, importlib, typing
import lightning.pytorch as pl
for clear in typing._cleanups:
    clear()
typing.Optional[typing.Union[float, int]]
typing.Optional[typing.Union[float, int, str, datetime.timedelta, dict[str, int]]]
pl.Trainer = pl.trainer.Trainer = importlib.reload(pl.trainer.trainer).Trainer
from qstar_pl.cli.trainer import TrainerCLI
words = ["fit", "--trainer.limit_val_batches=1", "--trainer.val_check_interval=VALUE"]
trainer = TrainerCLI(words, execute=False).config["fit"]["trainer"]
print(*(repr(trainer[name]) for name in ("limit_val_batches", "val_check_interval")))
"""
    said = subprocess.run(
        [sys.executable, "-c", code.replace("VALUE", value)], capture_output=True, text=True, check=False
    )
    assert said.stdout.split()[-2:] == ["1", value], said.stderr
