import json
import subprocess
import sys
from pathlib import Path

import pytest

from qstar_pl.commands.runs import main
from qstar_pl.errors import UserError


@pytest.fixture
def runs(isolated: Path) -> Path:
    for name, method, gold in (("dpo", "DPO", 0.25), ("q_star", "QStar", 0.75)):
        folder = isolated / "runs" / name / "version_0"
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(f"model:\n  class_path: a.{method}\ntrainer:\n  max_steps: 4\n")
        (folder / "metrics.csv").write_text(f"step,val/reward_gold\n4,{gold}\n")
    return isolated / "runs"


def test_list(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--sort", "val/reward_gold"]) == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["run", "state", "step", "active", "method", "data", "val/reward_gold"]
    assert first.split()[:3] == ["q_star/version_0", "finished", "4/4"]
    assert second.split()[:3] == ["dpo/version_0", "finished", "4/4"]


def test_for_scripts(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "dpo" / "version_0" / "metrics.csv").write_text("step,val/reward_gold,loss/total\n4,nan,inf\n")
    assert main(["--json", "--method=dpo"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["name"], one["state"], one["max_steps"]) == ("dpo/version_0", "finished", 4)
    assert one["metrics"] == {"val/reward_gold": None, "loss/total": None}


def test_what_is_left_out_is_said(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "dpo" / "version_0" / "config.yaml").write_text("[")
    assert main(["--limit=1", "--sort=name"]) == 0
    printed = capsys.readouterr()
    assert "1 of 2 runs; --limit 0 lists all" in printed.out
    assert printed.err.startswith("notice: runs/dpo/version_0/config.yaml must be YAML")
    assert main(["--state=killed"]) == 0
    assert capsys.readouterr().out == "none of the 2 runs in runs is so\n"


def test_show(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "dpo" / "version_1").mkdir()
    (runs / "dpo" / "version_1" / "metrics.csv").write_text("step\n")
    assert main(["show", "dpo/version_0"]) == 0
    assert "dpo/version_0: finished, step 4/4" in capsys.readouterr().out
    assert main(["show", "dpo"]) == 0
    assert "other runs of this name: version_" in capsys.readouterr().out
    with pytest.raises(UserError, match="run must name one run, got runs, which stands for 3"):
        main(["show", "runs"])
    with pytest.raises(UserError, match="did you mean q_star"):
        main(["show", "q-star"])


def test_mistakes(isolated: Path) -> None:
    with pytest.raises(UserError, match="folder must be one in which runs lie, got elsewhere"):
        main(["elsewhere"])
    (isolated / "runs").mkdir()
    with pytest.raises(UserError, match="limit must"):
        main(["--limit=-1"])
    with pytest.raises(UserError, match="since must"):
        main(["--since=ever"])


def test_nothing_heavy_is_imported(runs: Path) -> None:
    code = """
import sys
from qstar_pl.cli import main
assert main(["runs"]) == 0 and main(["runs", "show", "dpo"]) == 0
heavy = {"torch", "lightning", "transformers", "numpy", "matplotlib", "rich"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_before_the_first_run(isolated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (main([]), main(["--json"])) == (0, 0)
    assert capsys.readouterr().out == "no runs in runs yet: qstar fit begins one\n[]\n"
