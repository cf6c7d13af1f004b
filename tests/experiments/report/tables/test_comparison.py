"""Paired tests, intervals and Holm's correction: against SciPy and statsmodels, and over null experiments."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from results_folder import OFF_POLICY, PPO, Q_STAR, MadeCell, results_folder
from scipy.stats import t as student
from scipy.stats import ttest_rel
from statsmodels.stats.multitest import multipletests

from qstar_pl.experiments.report.reading import Results, Run, read_results
from qstar_pl.experiments.report.tables.comparison import compare, comparisons, corrected_over, smallest_effect
from qstar_pl.experiments.report.tables.comparison import tests as count_tests

CELLS = {"ppo": PPO, "off_policy": OFF_POLICY, "q_star": Q_STAR}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    pairs = [("q_star", "off_policy"), ("ppo", "q_star")]
    return read_results(results_folder(tmp_path_factory.mktemp("made"), CELLS, range(4), comparisons=pairs))


def test_numbers_are_those_of_scipy_and_statsmodels(results: Results) -> None:
    found = comparisons(results)
    assert [(one.cell, one.than) for one in found] == [
        ("off_policy", "ppo"),
        ("q_star", "ppo"),
        ("q_star", "off_policy"),  # (ppo, q_star) is asked already
    ]
    score = {cell: [run.after[results.score] for run in results.finished(cell)] for cell in results.cells}
    tests = [ttest_rel(score[one.cell], score[one.than]) for one in found]
    assert [one.p_value for one in found] == pytest.approx([test.pvalue for test in tests])
    corrected = multipletests([test.pvalue for test in tests], method="holm")[1]
    assert [one.holm for one in found] == pytest.approx(list(corrected))
    for one, test in zip(found, tests, strict=True):
        assert one.interval is not None
        interval = test.confidence_interval(0.95)
        assert (one.interval.low, one.interval.high) == pytest.approx((interval.low, interval.high))
        assert one.bootstrap is not None
        assert one.bootstrap.low < one.mean < one.bootstrap.high


def test_without_answers_there_is_no_interval_over_prompts(tmp_path: Path) -> None:
    cells = {name: replace(made, replies=False) for name, made in CELLS.items()}
    found = compare(read_results(results_folder(tmp_path, cells)), "q_star", "ppo")
    assert found is not None
    assert found.bootstrap is None
    assert found.interval is not None


def test_runs_with_other_prompts_or_one_seed_are_not_tested(results: Results) -> None:
    other = [replace(run, held_out="x") if run.cell == "ppo" else run for run in results.runs]
    assert compare(replace(results, runs=tuple(other)), "q_star", "ppo") is None
    alone = replace(results, runs=tuple(run for run in results.runs if run.seed == 0))
    found = compare(alone, "q_star", "ppo")
    assert found is not None
    assert (found.seeds, found.interval, found.p_value, found.is_significant) == (1, None, None, False)


def test_what_few_seeds_can_show() -> None:
    assert smallest_effect(3, 1) == pytest.approx(student.ppf(0.975, 2) / np.sqrt(3))
    assert smallest_effect(1, 1) is None
    few, more = smallest_effect(3, 8), smallest_effect(5, 8)
    assert few is not None
    assert more is not None
    assert few > 2 * more


EXPERIMENTS, SEEDS, OTHERS = 2000, 5, 8


def null_scores(count: int) -> np.ndarray:
    """[experiments, cells, seeds] without any difference; the cells of a seed share its luck."""
    generator = np.random.default_rng(11)
    return 0.02 * generator.normal(size=(count, 1, SEEDS)) + 0.01 * generator.normal(size=(count, 1 + OTHERS, SEEDS))


def test_null_experiments_seldom_find_a_difference_after_holm_and_often_without() -> None:
    """All at once; the slow test does the same through the report."""
    scores = null_scores(EXPERIMENTS)
    differences = scores[:, 1:] - scores[:, :1]
    statistic = differences.mean(-1) / (differences.std(-1, ddof=1) / np.sqrt(SEEDS))
    p_values = 2 * student.sf(np.abs(statistic), SEEDS - 1)
    # Holm's first step decides whether anything is found.
    after = (p_values.min(axis=1) * OTHERS < 0.05).mean()
    without = (p_values < 0.05).any(axis=1).mean()
    assert 0.02 <= after <= 0.065
    assert without > 0.15


@pytest.mark.slow
def test_null_experiments_through_the_report(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    _through_the_report(results, monkeypatch, EXPERIMENTS, 0.065)


def test_some_null_experiments_through_the_report(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    _through_the_report(results, monkeypatch, 150, 0.1)


def _through_the_report(results: Results, monkeypatch: pytest.MonkeyPatch, experiments: int, at_most: float) -> None:
    monkeypatch.setattr("gc.collect", lambda: 0)  # which statsmodels calls each time
    without_answers = replace(results, recorded_answers=None, comparisons=(), seeds=tuple(range(SEEDS)))
    template = results.runs[0]

    def run(cell: int, seed: int, score: float) -> Run:
        name = f"cell_{cell}" if cell else "ppo"
        return replace(template, cell=name, seed=seed, factors={"method": name}, after={results.score: score})

    found = uncorrected = 0
    for scores in null_scores(EXPERIMENTS)[:experiments]:
        runs = tuple(run(cell, seed, scores[cell, seed]) for seed in range(SEEDS) for cell in range(1 + OTHERS))
        made = comparisons(replace(without_answers, runs=runs))
        assert len(made) == OTHERS
        found += any(one.is_significant for one in made)
        uncorrected += any(one.p_value is not None and one.p_value < 0.05 for one in made)
    assert found / experiments <= at_most
    assert uncorrected / experiments > 0.15


def test_a_run_that_diverged_has_no_difference(results: Results) -> None:
    runs = [
        replace(run, after={results.score: float("nan")}) if (run.cell, run.seed) == ("q_star", 1) else run
        for run in results.runs
    ]
    found = compare(replace(results, runs=tuple(runs)), "q_star", "ppo")
    assert found is not None
    assert found.seeds == 3


def test_cells_are_held_against_the_baseline_of_their_conditions(tmp_path: Path) -> None:
    cells = {
        f"{method}-{size}": MadeCell(made.classes, {"method": method, "size": size}, made.gain)
        for size in ("small", "large")
        for method, made in (("ppo", PPO), ("q_star", Q_STAR))
    }
    found = comparisons(read_results(results_folder(tmp_path, cells)))
    assert [(one.cell, one.than, one.group) for one in found] == [
        ("q_star-small", "ppo-small", "size small"),
        ("q_star-large", "ppo-large", "size large"),
    ]


def tuned(folder: Path, *, own: Sequence[str]) -> Results:
    """Two methods and a baseline with shared and tuned settings; of `own` the shared settings won."""
    cells = {
        f"{name}-{level}": replace(one, factors={"method": name, "tuned": level}, gain=one.gain + more)
        for level, more in (("shared", 0.0), ("tuned", 0.1))
        for name, one in CELLS.items()
    }
    results = read_results(results_folder(folder, cells, range(5)))
    runs = []
    for run in results.runs:
        shared = results.run(run.cell.replace("tuned", "shared"), run.seed)
        assert shared is not None
        runs.append(replace(run, after=shared.after) if run.cell.split("-")[0] in own else run)
    return replace(results, runs=tuple(runs))


def test_differences_between_the_same_runs_are_one_test(tmp_path: Path) -> None:
    found = comparisons(tuned(tmp_path / "one", own=["ppo", "q_star"]))
    assert [(one.cell, one.than) for one in found] == [
        ("off_policy-shared", "ppo-shared"),
        ("q_star-shared", "ppo-shared"),
        ("off_policy-tuned", "ppo-tuned"),
        ("q_star-tuned", "ppo-tuned"),
    ]
    assert count_tests(found) == 3
    assert found[1].holm == found[3].holm
    corrected = multipletests([found[place].p_value for place in (0, 1, 2)], method="holm")[1]
    assert [one.holm for one in found[:3]] == pytest.approx(list(corrected))
    assert "over these 3 tests: differences between the same runs are one test." in corrected_over(found)
    others = comparisons(tuned(tmp_path / "none", own=["q_star"]))
    assert count_tests(others) == 4
    assert "over these 4." in corrected_over(others)
