"""A results folder, read without torch; what is wrong with one is said in a line that names the file."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from results_folder import PPO, Q_STAR, MadeCell, as_stage, results_folder
from small_experiment import go, runs, write

from qstar_pl.errors import UserError
from qstar_pl.experiments.report.reading import read_results, read_several
from qstar_pl.experiments.report.tables.measures.costs import TrainingSeconds


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return results_folder(tmp_path_factory.mktemp("made") / "out", {"q_star": Q_STAR, "ppo": PPO}, baseline="ppo")


def test_everything_in_a_folder(made: Path) -> None:
    results = read_results(made)
    assert (results.name, results.variant, results.budget) == ("made", "tiny", ("samples", 3200))
    assert (results.score, results.metrics) == ("val/reward_gold", ("val/kl_policy_reference",))
    assert (results.cells, results.seeds) == (("ppo", "q_star"), (0, 1, 2))
    assert results.classes("q_star")["alpha"] == "KLSymmetricAlpha"
    assert results.factors("ppo") == {"method": "ppo"}
    run = results.finished("q_star")[1]
    assert (run.seed, run.seconds, run.spent["tokens"]) == (1, 60, 100000)
    assert run.after["val/reward_gold"] > run.before["val/reward_gold"]
    assert "time/step_s" in results.keys("ppo")
    assert "ess/ratio" not in results.keys("ppo")


def test_curves_over_what_was_spent(made: Path) -> None:
    results = read_results(made)
    run = results.finished("q_star")[0]
    points = results.series("q_star", 0, "val/reward_gold")
    np.testing.assert_array_equal(points.x, [0, 640, 1280, 1920, 2560, 3200])
    assert (points.y[0], points.y[-1]) == (run.before["val/reward_gold"], run.after["val/reward_gold"])
    for axis, last in (("step", 100), ("tokens", 100_000), ("generated", 90_000), ("seconds", 40)):
        assert results.series("q_star", 0, "val/reward_gold", axis).x[-1] == pytest.approx(last)  # type: ignore[arg-type]
    assert len(results.series("q_star", 0, "no/such")) == 0
    with pytest.raises(UserError, match="x must be one of step, samples, generated, tokens, seconds, got hours"):
        results.series("q_star", 0, "ess/ratio", "hours")  # type: ignore[arg-type]


def test_time_counts_from_the_first_stage(tmp_path: Path) -> None:
    cells = {"q_star": Q_STAR, "sft_q_star": Q_STAR, "sft": replace(PPO, step_s=0.05)}
    results = read_results(as_stage(results_folder(tmp_path, cells), "sft", "sft_q_star"))
    assert (results.cells, results.earlier) == (("q_star", "sft_q_star"), {"sft_q_star": "sft"})
    for cell, spent in (("q_star", 0), ("sft_q_star", 5)):
        places = results.series(cell, 1, "val/reward_gold", "seconds").x
        np.testing.assert_allclose(places, spent + 0.4 * np.arange(0, 101, 20))
        assert TrainingSeconds().per_seed(results, cell, "q_star")[1] == pytest.approx(spent + 40)
    unknown = replace(results, times={key: value for key, value in results.times.items() if key[0] != "sft"})
    assert len(unknown.series("sft_q_star", 1, "val/reward_gold", "seconds")) == 0
    assert TrainingSeconds().per_seed(unknown, "sft_q_star", "q_star") == {}


def test_nothing_is_spent_before_the_first_step_whatever_the_clock_shows_then(made: Path) -> None:
    results = read_results(made)
    clock = results.times["q_star", 0, "time/wall_s"]
    late = {**clock, "value": np.where(clock["step"] == 0, 8e-4, clock["value"])}
    shown = replace(results, times={**results.times, ("q_star", 0, "time/wall_s"): late})
    assert shown.series("q_star", 0, "val/reward_gold", "seconds").x[0] == 0


def test_answers_and_distributions(made: Path) -> None:
    results = read_results(made)
    answers = results.answers("ppo", 2)
    assert [one.prompt for one in answers] == list(range(12))
    assert {(one.step, one.reward_proxy) for one in answers} == {(100, None)}
    assert answers[3].prompt_text == "Question 3?"
    assert {one.step for one in results.answers("ppo", 2, first=True)} == {0}
    (first, last) = results.histograms("q_star", 0, "alpha")
    assert (first.step, last.step, last.count.sum()) == (50, 100, 68)
    assert (first.low[0], first.high[-1]) == (-np.inf, np.inf)
    assert results.histograms("ppo", 0, "alpha") == ()


def test_a_folder_without_answers_and_times_is_read_all_the_same(tmp_path: Path) -> None:
    folder = results_folder(tmp_path, {"ppo": MadeCell(replies=False)})
    (folder / "times.parquet").unlink()
    results = read_results(folder)
    assert (results.recorded_answers, results.distributions, results.answers("ppo", 0)) == (None, None, ())
    assert results.finished("ppo")[0].seconds is None
    assert len(results.series("ppo", 0, "val/reward_gold", "seconds")) == 0


def test_what_an_experiment_writes_is_read(tmp_path: Path) -> None:
    planned = runs(tmp_path / "out")
    go(planned)
    write(planned)
    results = read_results(tmp_path / "out")
    assert (results.cells, results.baseline) == (("one", "two"), "one")
    points = results.series("two", 0, "val/reward_gold")
    assert (points.x.tolist(), points.y.tolist()) == ([0, 48], [0, 0.18])
    assert results.finished("one")[0].seconds is not None


def test_several_experiments_in_one_folder(tmp_path: Path) -> None:
    for name in ("b", "a"):
        results_folder(tmp_path / name, {"ppo": PPO}, [0], name=name)
    assert [one.name for one in read_several(tmp_path)] == ["a", "b"]
    assert [one.name for one in read_several(tmp_path / "a")] == ["a"]
    (tmp_path / "none").mkdir()
    results_folder(tmp_path / "main_tiny", {"ppo": PPO}, (0,), name="main")
    assert [one.name for one in read_several(tmp_path)] == ["main", "a", "b"]
    with pytest.raises(UserError, match=r"none must hold results\.json, or folders with it"):
        read_several(tmp_path / "none")


def _without(folder: Path, key: str) -> None:
    found = json.loads((folder / "results.json").read_text())
    del found[key]
    (folder / "results.json").write_text(json.dumps(found))


def _edited(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    found = json.loads((folder / "results.json").read_text())
    edit(found)
    (folder / "results.json").write_text(json.dumps(found))


WRONG = {
    "a name that leads elsewhere": (
        lambda f: _edited(f, lambda found: found["experiment"].update(name="../../mine")),
        r"results\.json must be .* experiment must have a name .* without /.*, got '\.\./\.\./mine'",
    ),
    "a seed twice": (
        lambda f: _edited(f, lambda found: found["runs"].append(found["runs"][0])),
        r"results\.json must be .* runs must have each seed of a cell once, got q_star, seed 0 again",
    ),
    "a number beyond floats": (
        lambda f: _edited(f, lambda found: found["runs"][0]["after"].update({"val/reward_gold": 10**400})),
        r"results\.json must be .*: int too large to convert to float",
    ),
    "no results": (lambda f: (f / "results.json").unlink(), r"results\.json must exist"),
    "no JSON": (lambda f: (f / "results.json").write_text("{"), r"results\.json must be JSON"),
    "a later schema": (lambda f: (f / "results.json").write_text('{"schema": 2}'), "must be of schema 1, got 2"),
    "a list": (lambda f: (f / "results.json").write_text("[]"), "must be of schema 1, got list"),
    "no seeds": (lambda f: _without(f, "seeds"), r"results\.json must hold 'seeds'"),
    "no curves": (lambda f: (f / "curves.parquet").unlink(), r"curves\.parquet must exist"),
    "damaged curves": (lambda f: (f / "curves.parquet").write_bytes(b"PAR1"), r"curves\.parquet must be readable"),
    "other columns": (
        lambda f: (f / "answers.parquet").write_bytes((f / "distributions.parquet").read_bytes()),
        r"answers\.parquet must have the columns cell, seed, .*, got none of name prompt",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_said_with_the_file(wrong: str, tmp_path: Path) -> None:
    folder = results_folder(tmp_path, {"q_star": Q_STAR}, [0])
    damage, said = WRONG[wrong]
    damage(folder)
    with pytest.raises(UserError, match=said):
        read_results(folder)


def test_reading_needs_no_torch(made: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from qstar_pl.experiments.report.reading import read_results\n"
        f"read_results(Path({str(made)!r}))\n"
        "print(sorted({'torch', 'lightning', 'scipy', 'statsmodels'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
