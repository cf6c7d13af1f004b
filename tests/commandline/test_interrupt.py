"""Ctrl-C and SIGTERM in the middle of training, through the real command."""

import csv
import shlex
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_run import SMALL

Call = Callable[..., tuple[int, str, str]]
FIT = (
    "fit",
    *SMALL,
    "--model=SFT",
    "--model.evaluation_sampler.max_new_tokens=3",
    "--trainer.callbacks=LossDiagnostic",
    "--trainer.limit_val_batches=0",
)
WRITER = ("--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.save_last=true")
RUN = Path("runs/sft/version_0")
LAST = RUN / "checkpoints" / "last.ckpt"


def sent(number: int, step: int) -> tuple[str, ...]:
    option = "--trainer.callbacks"
    return (f"{option}+=small_run.Signal", f"{option}.number={int(number)}", f"{option}.step={step}")


def rows() -> list[tuple[str, str]]:
    with (RUN / "metrics.csv").open(newline="") as file:
        return [(row["step"], row["loss/total"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize(("number", "name", "code"), [(signal.SIGINT, "Ctrl-C", 130), (signal.SIGTERM, "SIGTERM", 143)])
def test_the_step_at_hand_is_saved_and_the_run_goes_on(qstar: Call, number: int, name: str, code: int) -> None:
    endless = ("--trainer.max_steps=-1", "--trainer.max_epochs=-1")
    before = signal.getsignal(number)
    got, out, err = qstar(*FIT, *WRITER, *sent(number, 1), *endless)
    assert got == code, err
    assert f"{name}: the step at hand is finished and saved" in err
    assert f"stopped by {name} after step 2\ncheckpoint: {LAST}\n" in out
    assert torch.load(LAST, weights_only=True)["global_step"] == 2
    assert signal.getsignal(number) == before
    (line,) = [line for line in out.splitlines() if line.startswith("  go on:")]
    onward = shlex.split(line.partition(":")[2])[1:]
    assert onward[-2:] == ["--ckpt_path", "last"]
    assert qstar(*onward, "--trainer.max_steps=3")[0] == 0
    resumed, weights = rows(), torch.load(LAST, weights_only=True)["state_dict"]
    RUN.rename("runs/stopped")
    assert qstar(*FIT, *WRITER, "--trainer.max_steps=3")[0] == 0
    assert resumed == rows()
    whole = torch.load(LAST, weights_only=True)["state_dict"]
    assert all(torch.equal(weights[key], value) for key, value in whole.items())


def test_an_accumulation_window_is_finished_first(qstar: Call) -> None:
    words = (*FIT, *sent(signal.SIGINT, 1), "--trainer.accumulate_grad_batches=3", "--trainer.max_steps=50")
    code, out, _ = qstar(*words)
    assert code == 130
    assert "stopped by Ctrl-C after step 2\n" in out
    # Lightning's own writer keeps no `last`; there is one all the same.
    contents = torch.load(LAST, weights_only=True)
    assert contents["global_step"] == 2
    assert contents["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"]["ready"] == 6


def test_a_writer_of_weights_alone_saves_all_that_is_needed(qstar: Call) -> None:
    alone = ("--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.save_weights_only=true")
    words = (*FIT, *alone, "--trainer.callbacks.every_n_train_steps=1", "--trainer.max_steps=4")
    assert qstar(*words, *sent(signal.SIGTERM, 1))[0] == 143
    assert torch.load(LAST, weights_only=True)["optimizer_states"]
    assert qstar(*words, "--ckpt_path=last")[0] == 0


def test_nothing_is_saved_where_nothing_may_be(qstar: Call) -> None:
    words = (*FIT, "--trainer.enable_checkpointing=false", *sent(signal.SIGINT, 0), "--trainer.max_steps=50")
    code, out, _ = qstar(*words)
    assert code == 130
    assert "stopped by Ctrl-C after step 1\nno checkpoint was saved" in out
    assert not list(Path().rglob("*.ckpt"))


def test_twice_ends_at_once(qstar: Call) -> None:
    words = (*FIT, *WRITER, *sent(signal.SIGINT, 1), *sent(signal.SIGINT, 1), "--trainer.max_steps=50")
    code, _, err = qstar(*words)
    assert code == 130
    assert "interrupted" in err
    assert not LAST.exists()
