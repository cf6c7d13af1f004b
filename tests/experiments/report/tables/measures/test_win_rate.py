from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from results_folder import PPO, Q_STAR, results_folder

from qstar_pl.experiments.report.page.answers import side_by_side
from qstar_pl.experiments.report.reading import Results, read_results
from qstar_pl.experiments.report.tables.comparison import compare
from qstar_pl.experiments.report.tables.main import main_table
from qstar_pl.experiments.report.tables.measures.prompts import unlike
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


def reordered(results: Results, cell: str, **columns: Any) -> Results:
    """Return the same results, in which a cell's runs have met their held-out prompts in another order."""
    answers = dict(results.recorded_answers or {})
    for place, found in answers.items():
        if place[0] == cell:
            answers[place] = {**found, "prompt": found["prompt"].max() - found["prompt"], **columns}
    return replace(results, recorded_answers=answers)


def test_prompts_are_told_by_their_keys_wherever_they_stand(results: Results) -> None:
    other = reordered(results, "q_star")
    assert [one.key for one in other.answers("q_star", 0)] == [one.key for one in results.answers("ppo", 0)][::-1]
    assert reward_differences(other, "q_star", "ppo") == reward_differences(results, "q_star", "ppo")
    found, same = compare(other, "q_star", "ppo"), compare(results, "q_star", "ppo")
    assert found is not None
    assert same is not None
    assert found.bootstrap == same.bootstrap
    page, wanted = (side_by_side(one)[0] for one in (other, results))
    assert page == wanted
    assert len(page[0].answers) == 3


def test_where_other_prompts_were_held_out_nothing_is_compared_and_a_line_says_so(results: Results) -> None:
    keys = np.array([f"other {number}" for number in range(24)], dtype=object)
    other = reordered(results, "q_star", key=keys)
    assert reward_differences(other, "q_star", "ppo") == {}
    assert unlike(other) == (
        "Left out where answers are compared, since other prompts were held out: "
        "q_star and ppo, seed 0; q_star and ppo, seed 1; q_star and ppo, seed 2.",
    )
    assert unlike(other)[0] in main_table(other).notes
    assert unlike(results) == ()


def test_folders_without_keys_go_by_number(results: Results) -> None:
    without = reordered(results, "q_star", key=np.full(24, None))
    numbered = reward_differences(without, "q_star", "ppo")[0]
    assert sorted(map(int, numbered)) == list(range(12))
    assert list(numbered.values()) != list(reward_differences(results, "q_star", "ppo")[0].values())


def test_a_score_of_one_part_is_compared_on_its_prompts(results: Results) -> None:
    parts = np.array(["code", "text"] * 12, dtype=object)
    answers = {place: {**found, "part": parts} for place, found in (results.recorded_answers or {}).items()}
    other = replace(results, recorded_answers=answers, score="val/reward_gold/code")
    assert (other.parts, other.scored_part, other.score_of("text")) == (
        ("code", "text"),
        "code",
        "val/reward_gold/text",
    )
    rows = reward_differences(other, "q_star", "ppo", part="code")
    assert {len(row) for row in rows.values()} == {6}
    wanted = {seed: np.mean([(np.sign(one) + 1) / 2 for one in row.values()]) for seed, row in rows.items()}
    assert WinRate().per_seed(other, "q_star", "ppo") == pytest.approx(wanted)


def test_a_part_is_told_from_one_whose_path_ends_alike(results: Results) -> None:
    parts = np.array(["b (TLDR)", "a/b (TLDR)"] * 12, dtype=object)
    answers = {place: {**found, "part": parts} for place, found in (results.recorded_answers or {}).items()}
    other = replace(results, recorded_answers=answers, score="val/reward_gold/b (TLDR)")
    assert other.scored_part == "b (TLDR)"
    assert replace(other, score="val/reward_gold/a/b (TLDR)").scored_part == "a/b (TLDR)"


def test_without_gold_rewards_the_proxys_count(results: Results) -> None:
    answers = {
        key: {**columns, "reward_proxy": columns["reward_gold"], "reward_gold": np.full(len(columns["step"]), np.nan)}
        for key, columns in (results.recorded_answers or {}).items()
    }
    by_proxy = replace(results, recorded_answers=answers)
    assert WinRate().per_seed(by_proxy, "q_star", "ppo") == WinRate().per_seed(results, "q_star", "ppo")
    assert reward_differences(by_proxy, "q_star", "ppo", "reward_gold") == {}
