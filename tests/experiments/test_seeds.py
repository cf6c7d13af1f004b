from pathlib import Path
from types import SimpleNamespace

import pytest
from seed_results import result

from qstar_pl.errors import UserError
from qstar_pl.experiments.seeds import measured, read_series, run_seed


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


def test_a_run_without_validation_has_measured_nothing():
    trainer = SimpleNamespace(validate=lambda *_, **__: [])
    assert measured(SimpleNamespace(trainer=trainer, module=None, data=None)) == {}


def test_a_run_that_writes_no_metrics_is_refused_before_it_trains():
    run = SimpleNamespace(trainer=SimpleNamespace(loggers=[]))
    with pytest.raises(UserError, match=r"trainer\.logger must be, or hold, a CSVLogger"):
        run_seed(lambda words: run, 0, Path("a.yaml"), Path("out"), [])
