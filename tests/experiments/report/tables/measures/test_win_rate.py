from dataclasses import replace

import numpy as np
import pytest
from results_folder import PPO, Q_STAR, results_folder

from qstar_pl.experiments.report.reading import Results, read_results
from qstar_pl.experiments.report.tables.measures.win_rate import WinRate, reward_differences


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return read_results(results_folder(tmp_path_factory.mktemp("made"), {"ppo": PPO, "q_star": Q_STAR}))


def test_it_is_the_share_of_prompts_that_are_won(results: Results) -> None:
    rates = WinRate().per_seed(results, "q_star", "ppo")
    mine, its = (results.answers(cell, 1) for cell in ("q_star", "ppo"))
    won = [one.reward_gold > two.reward_gold for one, two in zip(mine, its, strict=True)]  # type: ignore[operator]
    assert rates[1] == pytest.approx(np.mean(won))
    assert WinRate().per_seed(results, "ppo", "ppo") == {}
    back = WinRate().per_seed(results, "ppo", "q_star")
    assert {seed: 1 - rate for seed, rate in back.items()} == pytest.approx(rates)


def test_ties_are_one_half_and_prompts_must_be_the_same(results: Results) -> None:
    answers = dict(results.recorded_answers or {})
    tied = {key: {**columns, "reward_gold": np.ones(len(columns["step"]))} for key, columns in answers.items()}
    assert set(WinRate().per_seed(replace(results, recorded_answers=tied), "q_star", "ppo").values()) == {0.5}
    other = tuple(replace(run, held_out=run.cell) for run in results.runs)
    assert reward_differences(replace(results, runs=other), "q_star", "ppo") == {}


def test_without_gold_rewards_the_proxys_count(results: Results) -> None:
    answers = {
        key: {**columns, "reward_proxy": columns["reward_gold"], "reward_gold": np.full(len(columns["step"]), np.nan)}
        for key, columns in (results.recorded_answers or {}).items()
    }
    by_proxy = replace(results, recorded_answers=answers)
    assert WinRate().per_seed(by_proxy, "q_star", "ppo") == WinRate().per_seed(results, "q_star", "ppo")
    assert reward_differences(by_proxy, "q_star", "ppo", "reward_gold") == {}
