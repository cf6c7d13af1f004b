"""Histograms over seeds."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from results_folder import PPO, Q_STAR, results_folder

from qstar_pl.experiments.report.figures.distributions import Bins, Counted, counted, histogram
from qstar_pl.experiments.report.figures.panel import LeftOut, Panel, save
from qstar_pl.experiments.report.reading import read_results

ALPHA = Bins("alpha", "α", "alpha", "α", "share", 0.01)


def test_seeds_are_added_up_and_the_first_half_of_training_is_not_counted(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path / "in", {"ppo": PPO, "q_star": Q_STAR}))
    found = counted(results, "q_star", "alpha")
    assert found is not None
    assert found.count.sum() == 3 * 68  # of the window that ends at step 100, not at 50
    assert counted(results, "ppo", "alpha") is None
    (panel,) = histogram(results, ALPHA)
    assert isinstance(panel, Panel)
    assert ">q_star</text>" in save(panel, tmp_path / "out").read_text()


def test_a_share_beyond_the_bins_is_counted_and_named() -> None:
    one = Counted(np.array([-math.inf, 0.0, 1.0]), np.array([0.0, 1.0, math.inf]), np.array([1.0, 2.0, 1.0]))
    assert one.outside == pytest.approx(0.5)
    assert one.ends() == (0.0, 1.0)
    assert one.middle() == 1.0


def test_what_lies_beyond_the_bins_is_said_in_the_caption(tmp_path: Path) -> None:
    """Above the axes it would stand in the legend."""
    results = read_results(results_folder(tmp_path / "in", {"ppo": PPO, "q_star": Q_STAR}))
    (inside,) = histogram(results, ALPHA)
    assert inside == replace(inside, caption="All seeds together, in the second half of training.")
    moved = {
        key: {**columns, "high": np.where(columns["high"] == 1.0, math.inf, columns["high"])}
        for key, columns in (results.distributions or {}).items()
    }
    (panel,) = histogram(replace(results, distributions=moved), ALPHA)
    assert isinstance(panel, Panel)
    assert panel.caption == "All seeds together, in the second half of training. Beyond the bins: q_star 7.4%."
    assert "beyond the bins" not in save(panel, tmp_path / "out").read_text()


def test_a_folder_without_them_says_so(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path, {"ppo": PPO}))
    assert list(histogram(results, ALPHA)) == [LeftOut("α", "the runs did not record distributions")]
