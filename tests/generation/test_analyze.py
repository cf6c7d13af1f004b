import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from qstar_pl.errors import UserError
from qstar_pl.generation.analyze import main, run_names
from qstar_pl.generation.analyze_figures import rolling_mean
from qstar_pl.generation.analyze_statistics import (
    analyse,
    check_results,
    find_diagnostics,
    read_diagnostics,
    statistics,
)
from qstar_pl.generation.diagnostics import ROW_NUMBERS


def write(path: Path, rows: list[dict]) -> Path:
    whole = [{"tokens": 4, **dict.fromkeys(ROW_NUMBERS), **row} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in whole))
    return path


def row(alpha: float, ratio: float | None, theta: float, t: float) -> dict:
    return {"alpha_mean": alpha, "ess_ratio_mean": ratio, "kl_theta_mean": theta, "kl_t_mean": t}


ROWS = [row(0.5, 1.0, 0.30, 0.36), row(0.1, 1.3, 0.30, 0.24), row(0.6, None, 0.30, 0.30), row(0.4, 1.1, 0.30, 0.30)]


def test_statistics_against_numbers_by_hand():
    found = statistics(np.array([3.0, 1.0, 2.0, np.nan, 4.0]))
    assert found == pytest.approx(
        {
            "rows": 4,
            "mean": 2.5,
            "std": (5 / 3) ** 0.5,
            "min": 1.0,
            "q05": 1.15,
            "q25": 1.75,
            "q50": 2.5,
            "q75": 3.25,
            "q95": 3.85,
            "max": 4.0,
        }
    )
    assert statistics(np.array([np.nan])) is None


def test_checks_say_pass_or_fail_of_the_mean_and_the_share_of_rows(tmp_path):
    run = read_diagnostics(write(tmp_path / "a.diagnostics.jsonl", ROWS), "a")
    ess, kl, alpha = check_results(run)
    assert (ess["mean"], ess["passed"], ess["share_of_rows"]) == (pytest.approx(3.4 / 3), False, pytest.approx(2 / 3))
    # Row by row the two divergences differ by 0.06, 0.06, 0, 0: opposite signs do not cancel.
    assert (kl["mean"], kl["passed"], kl["share_of_rows"]) == (pytest.approx(0.03), True, 0.5)
    assert (alpha["mean"], alpha["passed"], alpha["share_of_rows"]) == (pytest.approx(0.4), True, 0.75)
    nothing = read_diagnostics(write(tmp_path / "b.diagnostics.jsonl", [{}]), "b")
    assert [check["passed"] for check in check_results(nothing)] == [None, None, None]


def test_bounds_belong_to_closed_intervals_only(tmp_path):
    edge = [row(0.2, 0.9, 0.05, 0.0)]
    ess, kl, alpha = check_results(read_diagnostics(write(tmp_path / "a.diagnostics.jsonl", edge), "a"))
    assert (ess["passed"], kl["passed"], alpha["passed"]) == (True, False, True)


def test_several_runs_are_written_and_drawn(tmp_path, capsys):
    first = write(tmp_path / "a.diagnostics.jsonl", ROWS)
    second = write(tmp_path / "b.diagnostics.jsonl", [row(0.5, 1.0, 0.1, 0.1)] * 3)
    assert main([str(first), str(second), "--output", str(tmp_path / "new")]) == 0, "a failed check is no error"
    printed = capsys.readouterr().out
    assert "FAIL" in printed
    assert "2/3" in printed
    written = json.loads((tmp_path / "new" / "analysis.json").read_text())
    runs = [read_diagnostics(path, name) for path, name in ((first, "a"), (second, "b"))]
    assert written == analyse(runs)
    text = (tmp_path / "new" / "analysis.md").read_text()
    assert "| a | ESS ratio (θ over t) in [0.9, 1.1] | 1.133 | FAIL | 66.7% |" in text
    for name in ("alpha.png", "ess_ratio.png", "alpha_ess.png", "evolution.png"):
        assert (tmp_path / "new" / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert f"![{name}]({name})" in text


def test_rolling_mean_against_a_loop():
    values = np.array([1.0, np.nan, 3.0, 5.0, 2.0])
    slow = [np.nanmean(values[max(0, end - 3) : end]) for end in range(1, 6)]
    assert_allclose(rolling_mean(values, 3), slow)


def test_files_are_found_and_named(tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "out.diagnostics.jsonl", ROWS)
    write(tmp_path / "x" / "other.diagnostics.jsonl", ROWS)
    assert find_diagnostics(tmp_path / "x" / "out.jsonl") == [tmp_path / "x" / "out.diagnostics.jsonl"]
    paths = [*find_diagnostics(tmp_path / "x"), *find_diagnostics(tmp_path / "y")]
    assert run_names(paths) == ["other", "x/out", "y/out"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.diagnostics.jsonl", "", "which is empty"),
        ("a.diagnostics.jsonl", "{\n", r"a.diagnostics.jsonl:1: diagnostics must be a JSON object per line"),
        ("a.diagnostics.jsonl", '{"messages": []}\n', "a line without tokens"),
        ("a.jsonl", "{}\n", "there is no .*a.diagnostics.jsonl"),
    ],
)
def test_mistakes(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        main([str(tmp_path / name)])


def test_an_empty_folder_is_a_mistake(tmp_path):
    with pytest.raises(UserError, match="which has none"):
        main([str(tmp_path)])
