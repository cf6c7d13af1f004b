"""Callbacks that watch a metric which is never logged: the run is saved, and its user told."""

from collections.abc import Callable
from pathlib import Path

import pytest
from small_run import SMALL

Call = Callable[..., tuple[int, str, str]]
SFT = ("fit", *SMALL, "--model=SFT", "--model.evaluation_sampler.max_new_tokens=4", "--trainer.max_steps=1")
SAVING = ("--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.every_n_train_steps=1")
OFF = "--trainer.limit_val_batches=0"


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (
            (*SAVING, "--trainer.callbacks.monitor=loss/totl"),
            ["monitor of ModelCheckpoint must", "got loss/totl", "no best checkpoint was kept", "mean loss/total?"],
        ),
        (
            (*SAVING, "--trainer.callbacks.monitor=val/reward_gold", OFF),
            ["monitor of ModelCheckpoint must", "got val/reward_gold", "logged: ", "loss/total"],
        ),
        (
            ("--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor=val/reward_gol"),
            ["monitor of EarlyStopping must", "got val/reward_gol", "logged: ", "val/reward_gold"],
        ),
        (
            ("--model.lr_scheduler=ReduceLROnPlateau", "--model.lr_scheduler.monitor=loss/none"),
            ["lr_scheduler.monitor must", "got loss/none", "logged: ", "loss/total"],
        ),
    ],
)
def test_one_line_and_what_was_trained(words: tuple[str, ...], parts: list[str], qstar: Call) -> None:
    code, _, err = qstar(*SFT, *words)
    assert code == 2, err
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert all(part in line for part in parts), line
    assert list(Path("runs/sft/version_0/checkpoints").glob("*.ckpt"))


@pytest.mark.parametrize(
    "words",
    [
        (*SAVING, "--trainer.callbacks.monitor=loss/total"),
        (*SAVING, "--trainer.callbacks.monitor=step", "--trainer.callbacks.mode=max"),
        (*SAVING, "--trainer.callbacks.monitor=none", "--trainer.callbacks.save_top_k=0"),
        (
            "--trainer.callbacks+=EarlyStopping",
            "--trainer.callbacks.monitor=val/none",
            "--trainer.callbacks.strict=false",
        ),
        (*SAVING, "--trainer.callbacks.monitor=val/none", "--trainer.fast_dev_run=true"),
    ],
)
def test_nothing_to_say(words: tuple[str, ...], qstar: Call) -> None:
    code, _, err = qstar(*SFT, *words, OFF)
    assert code == 0, err
