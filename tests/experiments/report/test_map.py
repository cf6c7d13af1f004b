from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from results_folder import OFF_POLICY, PPO, Q_STAR, MadeCell, results_folder

from qstar_pl.evaluation.statistics import holm, paired_t_test
from qstar_pl.experiments.report.map import Place, is_map, places
from qstar_pl.experiments.report.reading import Results, read_results
from qstar_pl.experiments.report.tables.map import map_table
from qstar_pl.experiments.report.verdicts.persists import Persists


def made(folder: Path, seeds: tuple[int, ...] = (0, 1, 2)) -> Results:
    """Return a map of 2 × 2 conditions: q* wins near, PPO far, by much, except with a noisy reward."""
    cells = {
        f"ppo-{reward}": MadeCell(PPO.classes, {"method": "ppo", "reward": reward}, gain=0.2)
        for reward in ("gold", "noisy")
    }
    for target, gain in (("near", 0.3), ("far", 0.1)):
        for reward in ("gold", "noisy"):
            level = {"target": target, "reward": reward}
            exactly, close = (gain, 0.001) if reward == "gold" else (0.2, 0.05)
            cells[f"q_star-{target}-{reward}"] = MadeCell(Q_STAR.classes, {"method": "q_star", **level}, exactly, close)
            cells[f"off-{target}-{reward}"] = MadeCell(OFF_POLICY.classes, {"method": "off", **level}, 0.0)
    return read_results(results_folder(folder, cells, seeds, baseline="ppo-gold"))


def at(found: tuple[Place, ...], share: float, **levels: str) -> Place:
    return next(one for one in found if one.share == share and dict(one.levels) == levels)


def test_the_best_method_of_every_condition_and_budget(tmp_path: Path) -> None:
    results = made(tmp_path)
    found = places(results)
    assert len(found) == 3 * 4
    near, far = (at(found, 1.0, target=target, reward="gold") for target in ("near", "far"))
    assert (near.best, near.over_second.than, near.seeds, near.spent) == ("q_star", "ppo", (0, 1, 2), 3200)
    assert near.over_second.mean == pytest.approx(0.1, abs=0.03)
    assert near.is_decided
    assert near.over_on_policy == near.over_second
    assert (far.best, far.over_on_policy) == ("ppo", None)
    half = at(found, 0.5, target="near", reward="gold")
    assert (half.spent, half.scores["q_star"]) == (1600, pytest.approx(0.55, abs=0.01))
    unsure = at(found, 1.0, target="far", reward="noisy")
    assert unsure.over_second.interval is not None
    assert unsure.over_second.interval.low < 0 < unsure.over_second.mean
    assert not unsure.is_decided


def test_a_run_that_ended_before_counts_only_as_far_as_it_came(tmp_path: Path) -> None:
    results = made(tmp_path)
    cut = {
        key: {name: column[columns["step"] <= 60] for name, column in columns.items()}
        if key[:2] == ("q_star-near-gold", 1)
        else columns
        for key, columns in results.curves.items()
    }
    found = places(replace(results, curves=cut))
    seeds = {share: at(found, share, target="near", reward="gold").seeds for share in (0.5, 1.0)}
    assert seeds == {0.5: (0, 1, 2), 1.0: (0, 2)}


def test_margins_are_paired_by_seed_and_corrected_together(tmp_path: Path) -> None:
    results = made(tmp_path)
    found = [one for one in places(results) if one.share == 1.0]
    scores = {
        cell: np.array([run.after[results.score] for run in results.finished(cell)])
        for cell in ("q_star-near-gold", "ppo-gold")
    }
    near = at(tuple(found), 1.0, target="near", reward="gold")
    differences = scores["q_star-near-gold"] - scores["ppo-gold"]
    assert near.over_second.mean == pytest.approx(differences.mean())
    assert near.over_second.p_value == pytest.approx(paired_t_test(differences))
    tests = {}
    for number, one in enumerate(found):
        for margin in (one.over_second, one.over_on_policy):
            if margin is not None and margin.p_value is not None:
                tests[number, margin.than] = margin
    corrected = holm({key: margin.p_value for key, margin in tests.items()})
    assert {key: margin.holm for key, margin in tests.items()} == corrected


def test_that_the_gain_persists_is_asked_under_every_condition(tmp_path: Path) -> None:
    (verdict,) = Persists().judge([replace(made(tmp_path), name="map")])
    asked = [one for one in verdict.evidence if one.experiment == "map"]
    assert len(asked) == 4
    assert [one.value is not None and one.seeds == 3 for one in asked] == [True] * 4
    assert verdict.status == "not supported"  # it is not so far from the policy


def test_one_seed_decides_nothing(tmp_path: Path) -> None:
    found = places(made(tmp_path, (0,)))
    assert not any(one.is_decided or one.over_second.interval for one in found)


def test_what_is_no_map_has_no_places(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path, {"ppo": PPO, "q_star": Q_STAR}, [0]))
    assert not is_map(results)
    assert (places(results), map_table(results).rows) == ((), ())
