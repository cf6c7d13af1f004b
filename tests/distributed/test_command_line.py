"""`qstar fit --trainer.strategy=fsdp2` with Lightning's own launcher: checkpoints, and processes that die."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from qstar_pl.cli import main
from qstar_pl.models import FromCheckpoint

PATHS = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
"""For callbacks that the tests bring."""
WORDS = [
    "fit",
    "--data.max_rows=64",
    "--data.batch_size=2",
    "--model.samples_per_prompt=2",
    "--model.sampler.max_new_tokens=6",
    "--trainer.accelerator=cpu",
    "--trainer.devices=2",
    "--trainer.strategy.class_path=FSDP2Strategy",
    "--trainer.log_every_n_steps=1",
    "--trainer.enable_progress_bar=false",
    "--trainer.limit_val_batches=0",
    "--trainer.callbacks=ModelCheckpoint",
    "--trainer.callbacks.save_last=true",
    "--trainer.callbacks.every_n_train_steps=1",
]
FOLDERS = "--trainer.strategy.save_distributed_checkpoint=true"
LAST = Path("runs/q_star/version_0/checkpoints/last.ckpt")


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "qstar_pl", *WORDS, *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": PATHS},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(folder: Path, *words: str) -> str:
    process = start(folder, *words)
    try:
        said = process.communicate(timeout=240)[0]
    finally:
        end(process)
    assert process.returncode == 0, said
    return said


def end(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def weights(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)["state_dict"]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the other process by /proc")
@pytest.mark.parametrize("victim", ["other", pytest.param("first", marks=pytest.mark.slow)])
def test_a_process_that_dies_ends_the_run(tmp_path: Path, victim: str) -> None:
    process = start(tmp_path, "--trainer.max_steps=100000", "--trainer.strategy.timeout_s=30")
    try:
        until = time.monotonic() + 200
        while not (tmp_path / LAST).exists():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < until
            time.sleep(0.05)
        (other,) = children(process.pid)
        os.kill(other if victim == "other" else process.pid, signal.SIGKILL)
        began = time.monotonic()
        said = process.communicate(timeout=60)[0]  # the pipe closes when the last process has ended
        assert time.monotonic() - began < 45
    finally:
        end(process)
    assert process.returncode != 0
    assert "Traceback" not in said.rpartition("stopped")[2] or "another process of this run" in said


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_a_signal_to_one_of_two_processes_saves_once_and_ends_both(tmp_path: Path, number: int, code: int) -> None:
    """What an uninterrupted run of three steps gives is in tests/cli/runs/test_interrupt.py; here it goes on."""
    words = ["--trainer.callbacks+=small_run.Signal", f"--trainer.callbacks.number={int(number)}"]
    process = start(tmp_path, "--trainer.max_steps=100000", *words, "--trainer.callbacks.step=1")
    try:
        said = process.communicate(timeout=240)[0]
    finally:
        end(process)
    assert process.returncode == code, said
    assert said.count("stopped by") == 1
    assert said.count("finished and saved") == 1
    contents = torch.load(tmp_path / LAST, weights_only=True)
    assert contents["global_step"] == 2
    assert len(contents["qstar_random_states"]) == 2
    if number == signal.SIGTERM:
        finish(tmp_path, "--trainer.max_steps=3", "--ckpt_path=last")
        assert torch.load(tmp_path / LAST, weights_only=True)["global_step"] == 3


@pytest.mark.slow
def test_parts_in_a_folder_resume_to_the_same_bits(tmp_path: Path) -> None:
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    finish(tmp_path / "whole", "--trainer.max_steps=4")
    finish(tmp_path / "parts", FOLDERS, "--trainer.max_steps=2")
    assert (tmp_path / "parts" / LAST / "checksums.json").exists()
    finish(tmp_path / "parts", FOLDERS, "--trainer.max_steps=4", "--ckpt_path=last")
    one = weights(tmp_path / "whole" / LAST)
    two = FromCheckpoint(str(tmp_path / "parts" / LAST)).load().state_dict()
    assert len(two) > 10
    assert all(torch.equal(one[f"policy.{key}"], value) for key, value in two.items())


@pytest.mark.slow
def test_adapters_in_a_folder_go_on_after_a_kill_and_are_exported(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    base = ("--model.policy=LoRA", "--model.policy.rank=2", "--model.policy.base=Pretrained")
    fit = (FOLDERS, *base, "--model.policy.base.name=tiny/policy", "--trainer.max_steps=4")
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    finish(tmp_path / "whole", *fit)
    kill = ("--trainer.callbacks+=small_run.Signal", f"--trainer.callbacks.number={int(signal.SIGKILL)}")
    process = start(tmp_path / "killed", *fit, *kill, "--trainer.callbacks.step=2")
    try:
        assert process.wait(timeout=240) == -signal.SIGKILL
    finally:
        end(process)
    assert (tmp_path / "killed" / LAST / ".metadata").exists()
    finish(tmp_path / "killed", *fit, "--ckpt_path=last")
    for name in ("whole", "killed"):
        folder = tmp_path / name
        words = ["export", f"--ckpt_path={folder / LAST}", f"--output={folder / 'exported'}", "--adapter_only"]
        assert main(words) == 0
    whole, killed = (
        {file.name: file.read_bytes() for file in (tmp_path / name / "exported").glob("*.safetensors")}
        for name in ("whole", "killed")
    )
    assert whole.keys() == {"adapter_model.safetensors"}
    assert whole == killed


@pytest.mark.slow
def test_on_another_number_of_processes_the_run_goes_on_and_says_so(tmp_path: Path) -> None:
    """With the same data and the same answers: the weights are those of a run that was never interrupted."""
    for name in ("whole", "changed"):
        (tmp_path / name).mkdir()
    finish(tmp_path / "whole", "--trainer.max_steps=4")
    finish(tmp_path / "changed", "--trainer.max_steps=2")
    alone = ("--trainer.devices=1", "--data.batch_size=4")
    said = finish(tmp_path / "changed", "--trainer.max_steps=4", "--ckpt_path=last", *alone)
    assert "The checkpoint was written by 2 processes and is continued by 1" in said
    one, two = (weights(tmp_path / name / LAST) for name in ("whole", "changed"))
    assert one.keys() == two.keys()
    # The gradient of the keys' bias is 0 but for rounding, which Adam makes as large as any other step.
    compared = [key for key in one if not key.endswith("attn.c_attn.bias")]
    assert all((one[key] - two[key]).norm() <= 1e-5 * one[key].norm() for key in compared)
    assert len(compared) > 20
