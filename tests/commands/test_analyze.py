import json
from pathlib import Path

import numpy as np
import pytest

from qstar_pl.commands.analyze import main, run_names
from qstar_pl.errors import UserError
from qstar_pl.generation.analyze_reading import find_diagnostics, read_diagnostics
from qstar_pl.generation.analyze_statistics import analyze, check_results, ess_ratio, statistics
from qstar_pl.rollout.row_numbers import ROW_NUMBERS


def write(path: Path, rows: list[dict]) -> Path:
    whole = [{"tokens": 4, **dict.fromkeys(ROW_NUMBERS), **row} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in whole))
    return path


def row(alpha: float, ratio: float | None, theta: float, t: float) -> dict:
    return {"alpha_mean": alpha, "ess_ratio_mean": ratio, "kl_theta_mean": theta, "kl_t_mean": t}


def sizes(theta: float, t: float, tokens: int = 4, **more: float) -> dict:
    return {"ess_theta_mean": theta, "ess_t_mean": t, "tokens": tokens, **more}


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


def test_checks_say_pass_or_fail_and_the_share_of_rows(tmp_path):
    run = read_diagnostics(write(tmp_path / "a.diagnostics.jsonl", ROWS), "a")
    ess, kl, alpha = check_results(run)
    assert (ess["value"], ess["passed"], ess["share_of_rows"]) == (pytest.approx(1.1), True, pytest.approx(2 / 3))
    assert ess["value_is"] == "median of the answers' ratios", "the file has no ESS of either policy"
    # Row by row the two divergences differ by 0.06, 0.06, 0, 0: opposite signs do not cancel.
    assert (kl["value"], kl["passed"], kl["share_of_rows"]) == (pytest.approx(0.03), True, 0.5)
    assert (alpha["value"], alpha["passed"], alpha["share_of_rows"]) == (pytest.approx(0.4), True, 0.75)
    nothing = read_diagnostics(write(tmp_path / "b.diagnostics.jsonl", [{}]), "b")
    assert [(check["passed"], check["note"]) for check in check_results(nothing)] == [(None, "no π_t")] * 3


def test_one_answer_does_not_lift_the_ess_ratio(tmp_path):
    """Nine answers at 0.8 and a token at 17.67: the mean of ratios is 2.49, Σ ESS_θ / Σ ESS_t over tokens 0.86."""
    rows = [sizes(0.72, 0.9, 20, ess_ratio_mean=0.8)] * 9 + [sizes(0.53, 0.03, 1, ess_ratio_mean=17.67)]
    run = read_diagnostics(write(tmp_path / "a.diagnostics.jsonl", rows), "a")
    found = ess_ratio(run)
    assert found.value == pytest.approx((9 * 20 * 0.72 + 0.53) / (9 * 20 * 0.9 + 0.03))
    assert found.value < 0.9
    check = check_results(run)[0]
    assert (check["passed"], check["share_of_rows"]) == (False, 0.0)
    # The other way round: a mean of ratios would fail what is balanced.
    balanced = [sizes(0.9, 0.9, 30)] * 4 + [sizes(0.6, 0.06, 1)]
    check = check_results(read_diagnostics(write(tmp_path / "b.diagnostics.jsonl", balanced), "b"))[0]
    assert check["passed"]
    assert check["value"] == pytest.approx((108 + 0.6) / (108 + 0.06))
    assert check["share_of_rows"] == 0.8


def test_long_answers_count_for_their_tokens(tmp_path):
    run = read_diagnostics(write(tmp_path / "a.diagnostics.jsonl", [sizes(0.5, 1.0, 1), sizes(0.9, 0.9, 9)]), "a")
    assert ess_ratio(run).value == pytest.approx((0.5 + 8.1) / (1.0 + 8.1))
    assert run.columns["ess_ratio"].tolist() == pytest.approx([0.5, 1.0])


def test_a_truncated_law_has_no_ratio(tmp_path):
    rows = [sizes(0.0, 0.0, uncovered_mass_mean=0.04)] * 3 + [sizes(0.9, 0.9)]
    check = check_results(read_diagnostics(write(tmp_path / "a.diagnostics.jsonl", rows), "a"))[0]
    assert (check["value"], check["passed"]) == (None, None)
    assert check["note"] == "undefined: 0/0 in 75.0% of answers, where q is truncated (top-k, top-p)"
    partly = [sizes(0.3, 0.5, 4, uncovered_mass_mean=0.01), sizes(0.9, 0.9, 4)]
    check = check_results(read_diagnostics(write(tmp_path / "b.diagnostics.jsonl", partly), "b"))[0]
    assert check["value"] == pytest.approx(1.2 / 1.4)
    assert "only tokens that nothing was cut from count" in check["note"]


GUIDE = {
    "sample_idx": 0,
    "alpha_mean": 0.523,
    "alpha_std": 0.045,
    "ess_ratio_mean": 0.987,
    "ess_ratio_std": 0.112,
    "kl_theta_mean": 0.234,
    "kl_t_mean": 0.231,
}


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ([GUIDE], 0.987),
        # An outlier does not lift the median.
        ([GUIDE, {**GUIDE, "ess_ratio_mean": 1.05}, {**GUIDE, "ess_ratio_mean": 17.67}], 1.05),
        # Beside the text, as some tools keep them; a key may be missing, and an empty line may stand between.
        ([{"messages": [], "diagnostics": {"ess_ratio_mean": 0.9, "alpha_mean": 0.4}}, None, GUIDE], 0.9435),
        # Sizes without a number of tokens: answers count alike.
        ([{"ess_theta_mean": 0.5, "ess_t_mean": 1.0}, {"ess_theta_mean": 0.7, "ess_t_mean": 0.7}], 1.2 / 1.7),
    ],
)
def test_diagnostics_of_other_tools_are_read(tmp_path, lines, value):
    path = tmp_path / "guide.diagnostics.jsonl"
    path.write_text("".join("\n" if line is None else json.dumps(line) + "\n" for line in lines))
    assert main([str(path)]) == 0
    written = json.loads((tmp_path / "guide.analysis" / "analysis.json").read_text())["runs"]["guide"]
    assert written["ess_ratio"] == pytest.approx(value)
    assert written["rows"] == sum(line is not None for line in lines)
    said = (tmp_path / "guide.analysis" / "analysis.md").read_text(encoding="utf-8")
    assert "median of the answers' ratios" in said or "ess_theta_mean" in lines[0]


def test_diagnostics_may_have_another_name(tmp_path):
    (tmp_path / "numbers.jsonl").write_text(json.dumps(GUIDE) + "\n")
    assert find_diagnostics(tmp_path / "numbers.jsonl") == [tmp_path / "numbers.jsonl"]


def test_bounds_belong_to_closed_intervals_only(tmp_path):
    edge = [row(0.2, 0.9, 0.05, 0.0)]
    ess, kl, alpha = check_results(read_diagnostics(write(tmp_path / "a.diagnostics.jsonl", edge), "a"))
    assert (ess["passed"], kl["passed"], alpha["passed"]) == (True, False, True)


def test_several_runs_are_written_and_drawn(tmp_path, capsys):
    rows = [row(0.5, 1.0, 0.30, 0.36), row(0.1, 1.3, 0.30, 0.24), row(0.6, 1.167, 0.30, 0.30)]
    first = write(tmp_path / "a.diagnostics.jsonl", rows)
    second = write(tmp_path / "b.diagnostics.jsonl", [row(0.5, 1.0, 0.1, 0.1)] * 3)
    assert main([str(first), str(second), "--output", str(tmp_path / "new")]) == 0, "a failed check is no error"
    printed = capsys.readouterr().out
    assert "FAIL" in printed
    assert "2/3" in printed
    assert "33.3%" in printed
    written = json.loads((tmp_path / "new" / "analysis.json").read_text())
    runs = [read_diagnostics(path, name) for path, name in ((first, "a"), (second, "b"))]
    assert written == analyze(runs)
    text = (tmp_path / "new" / "analysis.md").read_text()
    line = "| a | ESS ratio (θ over t) in [0.9, 1.1] | 1.167 | median of the answers' ratios | FAIL | 33.3% |"
    assert line in text
    for name in ("alpha.png", "ess_ratio.png", "kl.png", "alpha_ess.png", "evolution.png"):
        assert (tmp_path / "new" / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert f"![{name}]({name})" in text


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
        ("a.diagnostics.jsonl", '{"messages": []}\n', "a line without any of its numbers"),
        (
            "a.diagnostics.jsonl",
            f'{{"tokens": {10**400}, "alpha_mean": 0.5}}\n',
            r"jsonl:1: tokens must lie within ±1e\+30, got 1000",
        ),
        ("a.diagnostics.jsonl", '{"alpha_mean": -1e308}\n', r"alpha_mean must lie within ±1e\+30, got -1e\+308"),
        ("a.jsonl", "{}\n", "there is no .*a.diagnostics.jsonl"),
    ],
)
def test_mistakes(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message):
        main([str(tmp_path / name)])


@pytest.mark.parametrize("output", ["report.png", "a.diagnostics.jsonl", "numbers.csv"])
def test_the_output_is_a_folder(tmp_path, output):
    path = write(tmp_path / "a.diagnostics.jsonl", ROWS)
    with pytest.raises(UserError, match="output must be a folder"):
        main([str(path), "--output", str(tmp_path / output)])


def test_an_empty_folder_is_a_mistake(tmp_path):
    with pytest.raises(UserError, match="which has none"):
        main([str(tmp_path)])
