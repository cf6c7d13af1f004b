"""`qstar report` as a user meets it."""

from pathlib import Path

import pytest
from results_folder import PPO, Q_STAR, results_folder

from qstar_pl.commands.report import found
from qstar_pl.errors import UserError

RUNS = Path("runs/experiments")


def test_a_name_is_enough(qstar) -> None:
    results_folder(RUNS / "made_tiny", {"ppo": PPO, "q_star": Q_STAR}, (0, 1))
    code, out, err = qstar("report", "made")
    assert (code, err) == (0, "")
    assert out == "report of 1 experiment: runs/experiments/made_tiny/report/index.html\n"
    assert Path("runs/experiments/made_tiny/report/index.html").read_text().startswith("<!doctype html>")


def test_names_folders_and_what_is_near(isolated: Path) -> None:
    for name in ("main_tiny", "main_full", "main_scaled_tiny"):
        (RUNS / name).mkdir(parents=True)
        (RUNS / name / "results.json").touch()
    assert found("main", RUNS) == [RUNS / "main_full", RUNS / "main_tiny"]
    assert found("main_tiny", RUNS) == [RUNS / "main_tiny"]
    assert found("runs/experiments", RUNS) == [RUNS]
    with pytest.raises(UserError, match=r"^runs must be .*, got mian_tiny; did you mean main_tiny\? \(.* holds "):
        found("mian_tiny", RUNS)
    with pytest.raises(UserError, match=r"got main \(elsewhere holds none\)$"):
        found("main", Path("elsewhere"))


def test_what_is_kept_makes_the_same_page_also_with_more_beside_it(qstar) -> None:
    def files(folder: str) -> dict[str, bytes]:
        return {str(one.relative_to(folder)): one.read_bytes() for one in Path(folder).rglob("*") if one.is_file()}

    for name in ("made", "other"):
        results_folder(RUNS / f"{name}_tiny", {"ppo": PPO}, (0,), name=name)
        assert qstar("report", name, "--output", "kept", "--keep")[0] == 0
    assert {one.name for one in Path("kept/data").iterdir()} == {"made_tiny", "other_tiny"}
    before = files("kept")
    assert qstar("report", "made", "other", "--output", "whole")[1] == "report of 2 experiments: whole/index.html\n"
    assert files("whole") == {name: text for name, text in before.items() if not name.startswith("data/")}
    assert qstar("report", "kept/data", "--output", "kept")[0] == 0
    assert files("kept") == before
    assert all(str(Path.cwd()).encode() not in text for text in before.values())
