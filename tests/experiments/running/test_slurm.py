"""A cluster's programs are stand-ins: what is submitted is run by a shell, task after task."""

import os
import subprocess
from pathlib import Path

import pytest
from small_experiment import experiment, in_stages, runs

from qstar_pl.errors import UserError
from qstar_pl.experiments.running.launcher import Settled, Slurm
from qstar_pl.experiments.running.slurm import script


@pytest.fixture
def cluster(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (("sbatch", 'cp "$2" submitted; echo "77;cluster"'), ("squeue", "cat queue 2>/dev/null")):
        program = isolated / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{isolated / 'bin'}:{os.environ['PATH']}")
    return isolated


def submit(planned: list) -> list[str]:
    said = list[str]()
    Slurm().start(planned, Settled(2, 1, "small", Path("out"), ("gres=gpu:8",)), said.append)
    return said


def test_one_array_is_submitted_and_nothing_twice(cluster: Path) -> None:
    planned = runs(Path("out"))
    assert submit(planned) == ["submitted 4 runs as job array 77; the same command tells how far they are"]
    lines = Path("submitted").read_text().splitlines()
    assert lines[:5] == [
        "#!/bin/sh",
        "#SBATCH --job-name=qstar-small",
        "#SBATCH --array=0-3%2",
        "#SBATCH --output=/dev/null",
        "#SBATCH --gres=gpu:8",
    ]
    Path("queue").write_text("77_[0-3]\n")
    assert submit(planned) == ["4 runs are queued or at work"]
    Path("queue").unlink()
    assert "submitted 4 runs" in submit(planned)[0]


def test_later_stages_are_submitted_once_those_before_have_finished(cluster: Path) -> None:
    first, second, *_ = planned = runs(Path("out"), in_stages())
    said = submit(planned)
    assert said[0] == "2 runs start from others; the same command submits them once those have finished"
    assert said[1].startswith("submitted 2 runs")
    first.folder.end(0)
    assert submit([second])[0].startswith("submitted 1 runs")


def test_a_task_does_its_run_and_leaves_its_exit_code(cluster: Path) -> None:
    failing = runs(Path("out"), experiment(two="--model.fail=true"))
    text = script(failing, "small", 0, (), cluster)
    stand_in = Path(__file__).parents[2] / "stand_in_fit.py"
    Path("job.sh").write_text(text.replace("-m qstar_pl", str(stand_in)))
    assert "#SBATCH --array=0-3\n" in text
    for run in failing[:2]:
        run.folder.begin(run.asks("77"))
    codes = [
        subprocess.run(["sh", "job.sh"], env={**os.environ, "SLURM_ARRAY_TASK_ID": str(task)}, check=False).returncode
        for task in (0, 1)
    ]
    assert codes == [0, 2]
    assert [run.state for run in failing[:2]] == ["finished", "failed"]
    assert failing[1].folder.reason() == "lr must be positive, got -1"


def test_without_a_cluster_it_says_so(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(isolated))
    with pytest.raises(UserError, match="launcher slurm must find sbatch on PATH, got none"):
        submit(runs(Path("out")))
