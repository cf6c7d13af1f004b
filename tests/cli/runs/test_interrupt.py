"""Ctrl-C and SIGTERM in the middle of training, through the real command."""

import csv
import os
import shlex
import signal
import subprocess
import sys
import time
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


def sent(number: int, step: int, moment: str = "step") -> tuple[str, ...]:
    option = "--trainer.callbacks"
    what = (f"{option}+=small_run.Signal", f"{option}.number={int(number)}", f"{option}.step={step}")
    return (*what, f"{option}.moment={moment}")


def rows() -> list[tuple[str, str]]:
    with (RUN / "metrics.csv").open(newline="") as file:
        return [(row["step"], row["loss/total"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("number", "name", "code"),
    [
        (signal.SIGINT, "Ctrl-C", 130),
        (signal.SIGTERM, "SIGTERM", 143),
        (signal.SIGUSR1, "SIGUSR1", 138),
        (signal.SIGHUP, "SIGHUP", 129),
    ],
)
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


def test_twice_ends_at_once(qstar: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qstar_pl.cli.runs.interrupt.AGAIN_S", 0.0)
    words = (*FIT, *WRITER, *sent(signal.SIGINT, 1), *sent(signal.SIGINT, 1), "--trainer.max_steps=50")
    code, _, err = qstar(*words)
    assert code == 130
    assert "interrupted" in err
    assert not LAST.exists()


@pytest.mark.parametrize("moment", ["setup", "sanity check"])
def test_a_signal_before_the_first_step_ends_at_once(qstar: Call, moment: str) -> None:
    words = [word for word in FIT if "limit_val_batches" not in word and "sanity" not in word]
    code, out, err = qstar(*words, *WRITER, *sent(signal.SIGTERM, 0, moment), "--trainer.max_steps=50")
    assert code == 143
    assert err.splitlines()[-1] == "SIGTERM: stopped at once, before anything was to be saved"
    assert "stopped by" not in out
    assert not LAST.exists()
    assert not list(Path("runs").rglob(".lock")), "the folder is free"


def test_a_signal_in_a_validation_leaves_it_for_later(qstar: Call) -> None:
    """No checkpoint is due for that step, so one is written, from before the validation."""
    words = [word.replace("limit_val_batches=0", "limit_val_batches=2") for word in FIT]
    words += ["--trainer.val_check_interval=2", "--trainer.check_val_every_n_epoch=null"]
    words += [*WRITER, "--trainer.callbacks.every_n_train_steps=3", "--trainer.max_steps=5"]
    assert qstar(*words)[0] == 0
    with (RUN / "metrics.csv").open(newline="") as file:
        whole = list(csv.DictReader(file))
    weights = torch.load(LAST, weights_only=True)["state_dict"]
    RUN.rename("runs/whole")
    code, out, _ = qstar(*words, *sent(signal.SIGTERM, 2, "validation"))
    assert code == 143
    assert f"stopped by SIGTERM after step 2\ncheckpoint: {LAST}\n" in out
    for moment, step in (("checkpoint", 3), ("validation", 4)):
        code, _, err = qstar(*words, *sent(signal.SIGUSR1, step, moment), "--ckpt_path=last")
        assert code == 138, err
    assert qstar(*words, "--ckpt_path=last")[0] == 0
    with (RUN / "metrics.csv").open(newline="") as file:
        resumed = list(csv.DictReader(file))
    clocks = ("time/", "memory/", "tokens/per_s", "samples/per_s")
    without = [[{k: v for k, v in row.items() if not k.startswith(clocks)} for row in r] for r in (whole, resumed)]
    assert without[0] == without[1]
    assert sum(bool(row["val/perplexity"]) for row in resumed) == 2
    assert all(torch.equal(torch.load(LAST, weights_only=True)["state_dict"][k], v) for k, v in weights.items())


def test_slurm_queues_the_job_again_once_it_is_saved(qstar: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = Path("tools")
    tools.mkdir()
    (tools / "scontrol").write_text('#!/bin/sh\necho "$@" >> asked\nls runs/sft/version_0/checkpoints >> asked\n')
    (tools / "scontrol").chmod(0o755)
    (tools / "srun").symlink_to("scontrol")
    monkeypatch.setenv("PATH", f"{tools.resolve()}:{os.environ['PATH']}")
    for name, value in {"NTASKS": 1, "JOB_ID": 12345, "PROCID": 0, "LOCALID": 0, "NODEID": 0}.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    words = (*FIT, *WRITER, "--trainer.max_steps=3", "--ckpt_path=auto")
    code, out, err = qstar(*words, *sent(signal.SIGUSR1, 1))
    assert code == 138, err
    assert out.splitlines()[-1] == "job 12345 is queued again"
    assert Path("asked").read_text() == "requeue 12345\nlast.ckpt\n"
    assert not list(Path().rglob("hpc_ckpt*"))
    code, out, err = qstar(*words, *sent(signal.SIGTERM, 2))
    assert code == 143, err
    assert "queued" not in out
    assert qstar(*words)[0] == 0
    assert [folder.name for folder in RUN.parent.iterdir()] == ["version_0"]
    (tools / "scontrol").write_text("#!/bin/sh\necho no such job >&2\nexit 1\n")
    code, _, err = qstar(*FIT, *sent(signal.SIGUSR1, 0), "--trainer.max_steps=3")
    assert code == 138
    assert err.splitlines()[-1] == "job 12345 is not queued again: scontrol requeue: no such job"


STUCK = """
import ctypes
from qstar_pl.cli.runs import interrupt

interrupt.AGAIN_S, interrupt.PATIENCE_S = 0.0, 0.3
signals = interrupt.StopSignals()
signals.catch()
signals.saving = True
library, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
library.pthread_mutex_lock(mutex)
print("stuck", flush=True)
library.pthread_mutex_lock(mutex)  # never returns, and Python runs no handler before it does
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a system without pthreads")
def test_a_process_that_is_stuck_in_a_library_is_ended_by_the_second_signal() -> None:
    process = subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "stuck\n"
        process.send_signal(signal.SIGTERM)
        time.sleep(1.0)
        assert process.poll() is None, "the first one waits for the step, which may take as long as it likes"
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 143
    assert err.splitlines()[-1] == "SIGTERM: stopped, since nothing has moved for 0.3 s"
