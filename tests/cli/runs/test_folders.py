"""Nothing deleted, nothing left behind, and no run in the folder of another."""

import csv
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger
from small_run import SMALL

from qstar_pl.cli.runs.folders import claim_folder, give_back, keep_earlier

Call = Callable[..., tuple[int, str, str]]
FIT = ("fit", *SMALL, "--model=SFT", "--model.reward=null", "--model.gold=null", "--trainer.callbacks=LossDiagnostic")


def test_earlier_files_are_kept_in_order(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    assert keep_earlier(path) is None
    for run in range(3):
        keep_earlier(path)
        path.write_text(str(run))
    contents = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert contents == {"config.1.yaml": "0", "config.2.yaml": "1", "config.yaml": "2"}


def test_a_claimed_folder_is_given_back_if_it_stays_empty(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    claimed = claim_folder([CSVLogger(root, name="a")])
    assert claimed == [root, root / "a", root / "a" / "version_0"]
    second = claim_folder([CSVLogger(root, name="a")])
    assert second == [root / "a" / "version_1"]
    give_back(claimed)
    assert (root / "a" / "version_1").is_dir(), "another run's"
    assert not claimed[-1].exists()
    (second[-1] / "metrics.csv").touch()
    give_back(second)
    assert (second[-1] / "metrics.csv").exists()


@pytest.mark.parametrize("word", ["--data.path=nowhere.jsonl", "--data.max_left_out=2"])
def test_a_start_that_fails_leaves_no_folder(word: str, qstar: Call) -> None:
    code, _, err = qstar(*FIT, word)
    assert code == 2, err
    assert not Path("runs").exists()


def test_a_limit_on_the_sizes_of_files_is_named_with_the_file(qstar: Call, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        code, _, err = qstar(*FIT, "--trainer.max_steps=1", "--trainer.limit_val_batches=0")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 2
    assert err.splitlines()[-1] == (
        "error: a file must not be larger than the limit on the sizes of files (ulimit -f) allows: "
        "runs/sft/version_0/config.yaml"
    )
    assert not list(tmp_path.rglob("*config.yaml*")), "no part of it"


INTO_ONE = (
    *FIT,
    *("--trainer.logger=CSVLogger", "--trainer.logger.save_dir=runs", "--trainer.logger.version=0"),
    *("--trainer.max_steps=3", "--trainer.limit_val_batches=0"),
)
WRITER = ("--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.save_last=true")


class Intruder(Callback):
    """Starts a second run into the folder of the first, while that is at work."""

    ended: subprocess.CompletedProcess[str] | None = None

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == 2:
            words = [sys.executable, "-m", "qstar_pl", *INTO_ONE, *WRITER]
            Intruder.ended = subprocess.run(words, capture_output=True, text=True, check=False)


def test_a_second_process_into_one_folder_gets_one_line_and_the_first_does_not_notice(qstar: Call) -> None:
    code, _, err = qstar(*INTO_ONE, *WRITER, f"--trainer.callbacks+={__name__}.Intruder")
    assert code == 0, err
    assert Intruder.ended is not None
    assert Intruder.ended.returncode == 2
    errors = Intruder.ended.stderr.splitlines()
    folder = Path("runs/sft/version_0")
    line = f"error: run folder must be one that no other run writes into, got {folder}, where process {os.getpid()} on"
    assert [line for line in errors if line.startswith("error: ")] == [errors[-1]]
    assert errors[-1].startswith(line)
    assert "Traceback" not in Intruder.ended.stderr
    with (folder / "metrics.csv").open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "2", "3"]
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 3
    assert sorted(one.name for one in folder.iterdir()) == ["checkpoints", "config.yaml", "hparams.yaml", "metrics.csv"]


class TakenOver(Callback):
    """Another machine's run takes the folder's lock, as after this process was halted for minutes."""

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == 2:
            lock = Path(trainer.log_dir) / ".lock"
            lock.write_text(json.dumps({**json.loads(lock.read_text()), "host": "elsewhere", "token": "another"}))


def test_a_run_that_lost_its_folder_ends_with_one_line_and_writes_no_more(qstar: Call) -> None:
    taken = f"--trainer.callbacks+={TakenOver.__module__}.TakenOver"
    code, _, err = qstar(*FIT, taken, "--trainer.max_steps=6", "--trainer.log_every_n_steps=1")
    assert code == 2, err
    assert err.splitlines()[-1].startswith("error: another run has taken over "), err
    (folder,) = Path("runs").glob("*/version_0")
    assert not list(folder.glob("checkpoints/*"))
    assert "elsewhere" in (folder / ".lock").read_text(), "it is the other's"
    if (folder / "metrics.csv").exists():
        with (folder / "metrics.csv").open(newline="") as file:
            assert all(int(row["step"]) < 2 for row in csv.DictReader(file))
