"""Answers side by side."""

from dataclasses import replace
from pathlib import Path

from results_folder import PPO, Q_STAR, results_folder

from qstar_pl.experiments.report.page.answers import PROMPTS, side_by_side
from qstar_pl.experiments.report.reading import read_results


def test_the_first_prompts_are_shown_with_the_answers_of_every_cell(tmp_path: Path) -> None:
    cells = {"ppo": PPO, "broken": replace(PPO, status="failed"), "q_star": Q_STAR}
    results = read_results(results_folder(tmp_path, cells))
    prompts, note, reward = side_by_side(results)
    assert [one.text for one in prompts] == [f"Question {number}?" for number in range(PROMPTS)]
    assert [one.cell for one in prompts[0].answers] == ["before training", "ppo", "q_star"]
    last = results.answers("q_star", 0)[1]
    assert prompts[1].answers[2].reward == f"{last.reward_gold:.2f}"
    assert prompts[1].answers[2].text == "Answer of q_star."
    assert "Without answers of that seed: broken." in note
    assert reward == "gold reward"


def test_without_recorded_answers_it_says_so(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path, {"ppo": replace(PPO, replies=False)}))
    assert side_by_side(results) == ((), "The runs did not record their answers.", "")
