import pytest
from seed_results import result

from qstar_pl.experiments.seeds import read_series


def test_training_means_are_over_logged_steps():
    assert result(0, 0, 0).training_mean("alpha/mean") == pytest.approx(0.5)


def test_points_of_a_validation_metric_include_before_and_after():
    points = result(0, 0.25, 0.75).points("val/reward_gold")
    assert points == [(0, 0.25), (2, 0.75)]
    assert result(0, 0.25, 0.75).points("alpha/mean") == [(1, 0.4), (2, 0.6)]


def test_series_skip_empty_cells(tmp_path):
    file = tmp_path / "metrics.csv"
    file.write_text("epoch,step,alpha/mean,val/reward_gold\n0,1,0.5,\n0,2,,0.25\n0,3,0.75,\n")
    assert read_series(file) == {"alpha/mean": [(1, 0.5), (3, 0.75)], "val/reward_gold": [(2, 0.25)]}
