"""Final scores at a glance."""

from dataclasses import replace
from pathlib import Path

import pytest
from results_folder import OFF_POLICY, PPO, Q_STAR, results_folder
from scipy import stats

from qstar_pl.experiments.report.figures.ends import End, ends
from qstar_pl.experiments.report.figures.panel import LeftOut, Panel, save
from qstar_pl.experiments.report.reading import read_results


def test_the_interval_is_students() -> None:
    values = [0.5, 0.7, 0.6, 0.65]
    low, high = stats.t.interval(0.95, 3, loc=0.6125, scale=stats.sem(values))
    end = End.of(values)
    assert end.half is not None
    assert (end.mean - end.half, end.mean + end.half) == pytest.approx((low, high))
    assert End.of([0.5]) == End(0.5, None)


def test_the_highest_stands_first_with_its_number(tmp_path: Path) -> None:
    cells = {"ppo": PPO, "off_policy": OFF_POLICY, "q_star": Q_STAR}
    (panel,) = ends(read_results(results_folder(tmp_path / "in", cells)))
    assert isinstance(panel, Panel)
    assert panel.caption == (
        "Mean and Student's 95% interval over 3 seeds. Dashed: before training. ppo is the baseline."
    )
    drawn = save(panel, tmp_path / "out").read_text()
    assert drawn.index(">q_star</text>") < drawn.index(">ppo</text>") < drawn.index(">off_policy</text>")
    assert f">{End.of([run.after['val/reward_gold'] for run in _runs(tmp_path / 'in')]).mean:.3f}</text>" in drawn


def _runs(folder: Path) -> list:
    return list(read_results(folder).finished("q_star"))


def test_many_cells_take_several_panels_and_none_takes_none(tmp_path: Path) -> None:
    many = {f"cell_{number}": PPO for number in range(30)}
    assert len(list(ends(read_results(results_folder(tmp_path / "many", many, (0,)))))) == 2
    (none,) = ends(read_results(results_folder(tmp_path / "none", {"ppo": replace(PPO, status="failed")})))
    assert none == LeftOut("Score at the end", "no finished run measures val/reward_gold")


def test_shared_and_tuned_settings_have_a_panel_each(tmp_path: Path) -> None:
    cells = {
        f"{name}-{level}": replace(one, factors={"method": name, "tuned": level})
        for level in ("shared", "tuned")
        for name, one in {"ppo": PPO, "q_star": Q_STAR}.items()
    }
    shared, tuned = ends(read_results(results_folder(tmp_path, cells)))
    assert isinstance(shared, Panel)
    assert isinstance(tuned, Panel)
    assert "q_star-shared" in shared.alt
    assert "tuned" not in shared.alt + shared.caption
    assert "q_star-tuned" in tuned.alt
    assert "shared" not in tuned.alt
    assert tuned.caption.endswith("ppo-tuned is the baseline.")
    assert (shared.name, tuned.name) == ("ends", "ends_2")
