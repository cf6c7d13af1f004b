"""Curves of all cells: what is averaged, and what is said where there is nothing to draw."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from results_folder import OFF_POLICY, PPO, Q_STAR, results_folder

from qstar_pl.experiments.report.figures.lines import Lines, bands, lines, pooled
from qstar_pl.experiments.report.figures.panel import LeftOut, Panel, save
from qstar_pl.experiments.report.reading import read_results

SCORE = Lines("score", "Score", "val/reward_gold", "gold reward")


def test_a_band_is_mean_and_deviation_over_seeds(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path, {"ppo": PPO, "q_star": Q_STAR}))
    found = bands(results, "q_star", SCORE)
    last = [run.after["val/reward_gold"] for run in results.finished("q_star")]
    mean = sum(last) / 3
    deviation = math.sqrt(sum((one - mean) ** 2 for one in last) / 2)
    assert found[-1] == pytest.approx((3200.0, mean, deviation))
    assert [x for x, _, _ in found] == [640.0 * number for number in range(6)]


def test_ratios_are_averaged_in_logarithms_and_alpha_has_the_deviation_of_tokens(tmp_path: Path) -> None:
    made = replace(Q_STAR, constant={"ess/ratio": 1.5, "alpha/mean": 0.5, "alpha/std": 0.1})
    results = read_results(results_folder(tmp_path, {"q_star": made}))
    ratio = bands(results, "q_star", Lines("", "", "ess/ratio", "", scale="ratio"))
    logged = [results.series("q_star", seed, "ess/ratio").y[0] for seed in (0, 1, 2)]
    assert ratio[0][1] == pytest.approx(sum(map(math.log, logged)) / 3)
    alpha = bands(results, "q_star", Lines("", "", "alpha/mean", "", spread="alpha/std"))
    assert all(0.08 < spread < 0.12 for _, _, spread in alpha)


def test_many_cells_make_several_panels_each_with_the_baseline(tmp_path: Path) -> None:
    cells = {"ppo": PPO, **{f"cell_{number}": OFF_POLICY for number in range(11)}}
    results = read_results(results_folder(tmp_path / "in", cells, (0,)))
    first, second = lines(results, SCORE)
    assert isinstance(first, Panel)
    assert isinstance(second, Panel)
    assert (first.name, second.name, second.title) == ("score", "score_2", "Score (2 of 2)")
    assert "Gray: ppo, the baseline." in second.caption
    assert "Gray" not in first.caption
    drawn = save(second, tmp_path / "out").read_text()
    assert ">cell_10</text>" in drawn
    assert ">gold reward</text>" in drawn


def test_what_no_cell_logged_is_left_out_and_what_some_lack_is_said(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path / "a", {"ppo": PPO, "q_star": Q_STAR}))
    assert list(lines(results, Lines("a", "A", "alpha/min", ""))) == [LeftOut("A", "no cell logs alpha/min")]
    (panel,) = lines(results, Lines("a", "A", "alpha/mean", ""))
    assert isinstance(panel, Panel)
    assert panel.caption.endswith("Not logged by ppo.")
    none = read_results(results_folder(tmp_path / "b", {"ppo": replace(PPO, status="failed")}))
    assert list(lines(none, SCORE)) == [LeftOut("Score", "no run has finished")]


def test_a_curve_of_many_points_is_drawn_by_its_means() -> None:
    points = [(float(x), float(x % 2)) for x in range(1, 97)]
    found = pooled(points)
    assert len(found) == 24
    assert found[1] == (5.5, 0.5)
    assert pooled(points[:36]) == points[:36]
    hidden = pooled([(x, y) for x, y in points if not 20 <= x < 24])  # a part without a point has none
    assert [x for x, _ in hidden] == [x for x, _ in found if not 20 <= x < 24]


def test_the_caption_says_so(tmp_path: Path) -> None:
    cells = {"ppo": replace(PPO, constant={"grad/variance": 0.4})}
    for logs, said in ((tuple(range(2, 101, 2)), True), (tuple(range(5, 101, 5)), False)):
        results = read_results(results_folder(tmp_path / str(said), cells, logs=logs))
        (panel,) = lines(results, Lines("a", "A", "grad/variance", ""))
        assert isinstance(panel, Panel)
        assert ("Means over 24 parts of training." in panel.caption) == said
