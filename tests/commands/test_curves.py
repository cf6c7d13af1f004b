from pathlib import Path

import pytest

from qstar_pl.commands.curves import listed, main
from qstar_pl.errors import UserError

BUDGETS = ("samples/total", "generated/total", "tokens/total", "time/wall_s")


def test_figure(curve: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figure = tmp_path / "new" / "beta.png"
    words = [str(curve), str(curve), "--key=beta/mean", "--key=val/beta", "--x=samples/total", "--smooth=2"]
    assert main([*words, f"--output={figure}"]) == 0
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"figure: {figure}\n"


def test_each_budget_is_an_axis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run" / "metrics.csv"
    file.parent.mkdir()
    file.write_text(f"step,val/a,{','.join(BUDGETS)}\n0,1,0,0,0,0\n2,3,8,40,40,1.5\n")
    for budget in BUDGETS:
        words = [str(file), "--key=val/a", f"--x={budget}", f"--output={tmp_path / 'a.svg'}"]
        assert main(words) == 0
        assert budget in (tmp_path / "a.svg").read_text()
        assert "left out" not in capsys.readouterr().out


def test_a_suffix_that_is_no_figure_is_refused_before_anything_is_drawn(curve: Path, tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit):
        main([str(curve), "--key=beta/mean", f"--output={tmp_path}/a.txt"])
    assert ".png, .pdf or .svg" in capsys.readouterr().err


def test_runs_that_do_not_log_the_metric_are_left_out(
    curve: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "dpo" / "version_0"
    other.mkdir(parents=True)
    (other / "metrics.csv").write_text("step,loss/total,samples/total\n1,0.5,4\n2,0.")
    (tmp_path / "dpo" / "version_1").mkdir()
    (tmp_path / "dpo" / "version_1" / ".lock").touch()  # it has just begun
    monkeypatch.chdir(tmp_path)
    words = ["dpo", "led*", "--folder=.", "--output=a.svg"]
    assert main([*words, "--key=beta/mean", "--key=loss/total"]) == 0
    printed = capsys.readouterr().out
    assert "left out, since they have no beta/mean: dpo\n" in printed
    assert "left out, since they have no loss/total: ledpo\n" in printed
    assert "left out: dpo/version_1/metrics.csv must be readable: No such file or directory\n" in printed
    drawn = Path("a.svg").read_text()
    assert "<!-- ledpo -->" in drawn
    assert "<!-- dpo -->" in drawn


def test_a_notice_names_some_runs() -> None:
    assert listed(list("abcdef")) == "a; b; c; d; e; f"
    assert listed(list("abcdefg")) == "a; b; c; d; e; 2 more"


def test_files_of_one_folder_are_told_apart(curve: Path, tmp_path: Path) -> None:
    earlier = curve.with_name("metrics.1.csv")
    earlier.write_text(curve.read_text())
    assert main([str(curve), str(earlier), "--key=beta/mean", f"--output={tmp_path}/a.svg"]) == 0
    assert "version_0/metrics.1 -->" in (tmp_path / "a.svg").read_text()


def test_any_file_of_a_run_names_it(curve: Path, tmp_path: Path) -> None:
    settings = curve.with_name("config.yaml")
    settings.write_text("name: ledpo\n")
    assert main([str(settings), "--key=beta/mean", f"--output={tmp_path}/a.svg"]) == 0


def test_mistakes_name_the_nearest(curve: Path, tmp_path: Path) -> None:
    options = [str(curve), f"--output={tmp_path}/a.png"]
    with pytest.raises(UserError, match=r"key must be .*, got beta/men; did you mean beta/mean\? \(logged: beta"):
        main([*options, "--key=beta/men"])
    with pytest.raises(UserError, match=r"x must be step or .*, got sample/total; did you mean samples/total\?"):
        main([*options, "--key=beta/mean", "--x=sample/total"])
    with pytest.raises(UserError, match=r"a run must be a folder, .*gone.csv"):
        main([str(tmp_path / "gone.csv"), *options, "--key=beta/mean"])
    with pytest.raises(UserError, match="smooth must"):
        main([*options, "--key=beta/mean", "--smooth=0"])
    curve.unlink()
    (curve.parent / ".lock").touch()
    with pytest.raises(UserError, match="runs must have logged something"):
        main([str(curve.parent), "--key=beta/mean", f"--output={tmp_path}/a.png"])
