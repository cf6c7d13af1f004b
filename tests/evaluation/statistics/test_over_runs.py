"""IQM and performance profiles against SciPy and rliable."""

import sys
import types

import numpy as np
import pytest
from rliable import metrics

from qstar_pl.errors import UserError
from qstar_pl.evaluation.statistics.over_runs import (
    interquartile_mean,
    interquartile_mean_interval,
    performance_profile,
)

SCORES = np.random.default_rng(0).gamma(2.0, size=(10, 6))


def test_the_interquartile_mean_is_rliables() -> None:
    assert interquartile_mean(SCORES) == metrics.aggregate_iqm(SCORES)
    assert interquartile_mean([1, 2, 3, 100]) == 2.5


def test_performance_profiles_are_rliables(monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap = types.SimpleNamespace(IIDBootstrap=object, IndependentSamplesBootstrap=object)
    monkeypatch.setitem(sys.modules, "arch", types.ModuleType("arch"))  # of its bootstrap, which profiles do not need
    monkeypatch.setitem(sys.modules, "arch.bootstrap", bootstrap)
    monkeypatch.delitem(sys.modules, "rliable.library", raising=False)
    from rliable import library

    thresholds = np.array([0.0, 0.5, float(SCORES[3, 2]), 2.0, 100.0])
    expected = [library.run_score_deviation(SCORES, threshold) for threshold in thresholds]
    assert performance_profile(SCORES, thresholds).tolist() == pytest.approx(expected)


def test_the_interval_covers_and_shrinks_with_runs() -> None:
    generator = np.random.default_rng(1)
    truth = interquartile_mean(generator.gamma(2.0, size=(200_000, 1)))
    covered = 0
    for seed in range(300):
        interval = interquartile_mean_interval(generator.gamma(2.0, size=(10, 6)), resamples=199, seed=seed).interval
        assert interval is not None
        covered += interval.low <= truth <= interval.high
    assert covered / 300 > 0.88  # percentiles of ten runs, as rliable forms them
    few, many = interquartile_mean_interval(SCORES), interquartile_mean_interval(np.tile(SCORES, (9, 1)))
    assert few.error is not None
    assert many.error == pytest.approx(few.error / 3, rel=0.15)


def test_edges() -> None:
    assert interquartile_mean_interval([[1, 2, 3]]).reason == "a single run does not tell how runs differ"
    assert interquartile_mean_interval([[1, 1], [1, 1]]).reason == "all 2 runs give the same value"
    with pytest.raises(UserError, match="scores must be finite, got nan"):
        interquartile_mean([1, np.nan])
    with pytest.raises(UserError, match="scores must hold at least one number, got none"):
        performance_profile([], [0.5])
