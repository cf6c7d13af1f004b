from pathlib import Path

import pytest

from qstar_pl.commands.curves import main
from qstar_pl.errors import UserError


def test_figure(curve: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figure = tmp_path / "new" / "beta.png"
    words = [str(curve), str(curve), "--key=beta/mean", "--key=val/beta", "--x=samples/total"]
    assert main([*words, f"--output={figure}"]) == 0
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert str(figure) in capsys.readouterr().out


def test_runs_that_do_not_log_the_metric_are_left_out(curve: Path, tmp_path: Path, capsys) -> None:
    other = tmp_path / "dpo" / "version_0" / "metrics.csv"
    other.parent.mkdir(parents=True)
    other.write_text("step,loss/total,samples/total\n1,0.5,4\n")
    words = [str(other), str(curve), f"--output={tmp_path}/a.png"]
    assert main([*words, "--key=beta/mean", "--key=loss/total"]) == 0
    printed = capsys.readouterr().out
    assert f"left out: {other} has no beta/mean beside step\n" in printed
    assert f"left out: {curve} has no loss/total beside step\n" in printed
    with pytest.raises(UserError, match=r"key must be a column of .*dpo.*, got 'reward/gold'"):
        main([*words, "--key=reward/gold"])
    with pytest.raises(UserError, match="does not exist"):
        main([str(tmp_path / "gone.csv"), *words, "--key=beta/mean"])


def test_a_suffix_that_no_figure_has_is_one_line(qstar) -> None:
    code, out, err = qstar("curves", "metrics.csv", "--key=beta/mean", "--output=curves.gif")
    assert (code, out, err) == (2, "", "error: --output must end in .png, .pdf or .svg, got curves.gif\n")
