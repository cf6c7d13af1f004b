import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from qstar_pl.locks import Holder, Lock
from qstar_pl.run_folders.finished import Finished
from qstar_pl.run_folders.record import Record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "mine" / "version_0"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text("model:\n  class_path: a.DPO\ntrainer:\n  max_steps: 20\n")
    (folder / "metrics.csv").write_text("loss/total,step\n0.5,10\n")
    return folder


def read(folder: Path) -> Record:
    return Record.read(folder, folder.parents[1])


def test_a_run(folder: Path) -> None:
    os.utime(folder / "config.yaml", (50, 50))
    os.utime(folder / "metrics.csv", (70, 70))
    os.utime(folder / "checkpoints", (60, 60))
    run = read(folder)
    assert (run.name, run.state, run.step, run.metrics) == ("mine/version_0", "stopped", 10, {"loss/total": 0.5})
    assert (run.started, run.active, run.notices) == (50, 70, ())


def test_states(folder: Path) -> None:
    lock = Lock.acquire(folder / ".lock", "run folder")
    assert read(folder).state == "running"
    lock.release()
    assert read(folder).state == "stopped"
    gone = replace(Holder.myself(), pid=2**22 + 1)  # beyond the largest id of a process
    (folder / ".lock").write_text(json.dumps(asdict(gone)))
    assert read(folder).state == "killed"
    (folder / ".lock").unlink()
    Finished("last.ckpt", 12, 1).write(folder / "checkpoints")
    run = read(folder)
    assert (run.state, run.step) == ("finished", 12)
    (folder / "checkpoints" / "epoch=0-step=15.ckpt").touch()  # it was continued since
    run = read(folder)
    assert (run.state, run.step) == ("stopped", 15)
    (folder / "metrics.csv").write_text("loss/total,step\n0.5,20\n")
    assert read(folder).state == "finished"


def test_measuring_is_no_training(folder: Path) -> None:
    measured = folder.parent / "validate" / "version_0"
    measured.mkdir(parents=True)
    (measured / "metrics.csv").write_text("val/a,step\n0.5,10\n")
    assert read(measured).state == "measured"


def test_damage_is_a_notice(folder: Path) -> None:
    (folder / "config.yaml").write_text("model: [")
    (folder / "metrics.csv").unlink()
    (folder / "metrics.csv").mkdir()
    (folder / "checkpoints" / "finished.json").write_text("{")
    (folder / ".lock").write_text("{")
    run = read(folder)
    assert (run.state, run.step, run.metrics, run.settings.method) == ("stopped", None, {}, None)
    assert [line.split(" must ")[0].rpartition("/")[2] for line in run.notices] == ["config.yaml", "metrics.csv"]
