from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from results_folder import PPO, results_folder

from qstar_pl.experiments.report.curves_over_seeds import first_reach, seed_curves
from qstar_pl.experiments.report.reading import read_results


def test_the_mean_curve_is_that_of_the_seeds(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path, {"ppo": PPO}))
    curves = seed_curves(results, "ppo", "val/reward_gold", "samples")
    assert (curves.seeds, curves.y.shape) == ((0, 1, 2), (3, 6))
    ends = [results.finished("ppo")[seed].after["val/reward_gold"] for seed in range(3)]
    assert curves.mean[-1] == pytest.approx(np.mean(ends))
    assert seed_curves(results, "ppo", "no/such", "samples").seeds == ()
    assert seed_curves(results, "ppo", "val/reward_gold", "step", [2]).seeds == (2,)


def test_seeds_that_spend_unequally_are_averaged_at_the_same_steps(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path, {"ppo": PPO}, [0, 1]))
    slow, key = dict(results.times), ("ppo", 1, "time/wall_s")
    slow[key] = {**slow[key], "value": 3 * slow[key]["value"]}
    curves = seed_curves(replace(results, times=slow), "ppo", "val/reward_gold", "seconds")
    assert curves.x[-1] == pytest.approx((30 + 90) / 2)
    ends = [run.after["val/reward_gold"] for run in results.finished("ppo")]
    assert curves.y[:, -1].tolist() == ends


def test_runs_that_end_at_different_steps_keep_their_ends(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path, {"ppo": PPO}, [0, 1]))
    key = ("ppo", 1, "val/reward_gold")
    columns = {name: column[:-1] for name, column in results.curves[key].items()}
    curves = seed_curves(replace(results, curves={**results.curves, key: columns}), "ppo", "val/reward_gold", "samples")
    assert curves.x.tolist() == [0, 640, 1280, 1920, (3200 + 2560) / 2]
    assert curves.y[1, -1] == columns["value"][-1]


@pytest.mark.parametrize(
    ("level", "expected"), [(0.0, 0.0), (0.5, 5.0), (1.0, 10.0), (1.5, 25.0), (3.0, np.inf)], ids=str
)
def test_where_a_level_is_first_reached(level: float, expected: float) -> None:
    x, y = np.array([0.0, 10.0, 20.0, 30.0]), np.array([0.0, 1.0, 0.5, 2.5])
    assert first_reach(x, y, level) == expected
