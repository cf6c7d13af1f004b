"""Which rows are kept."""

from pathlib import Path

import pytest
from results_folder import PPO, Q_STAR, results_folder

from qstar_pl.experiments.report.kept import keep
from qstar_pl.experiments.report.kept.tables import read_metrics
from qstar_pl.experiments.report.reading import Results, read_results
from qstar_pl.experiments.report.report import write_report


def test_all_metrics_that_a_report_asks_for_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = read_results(results_folder(tmp_path / "in", {"ppo": PPO, "q_star": Q_STAR}, (0, 1)))
    asked, series = set[str](), Results.series

    def listening(self: Results, cell: str, seed: int, key: str, *rest: str) -> object:
        asked.add(key)
        return series(self, cell, seed, key, *rest)

    monkeypatch.setattr(Results, "series", listening)
    write_report([results], tmp_path / "out")
    assert asked <= set(read_metrics(results))
    assert len(asked) >= 10


def test_texts_stay_where_the_page_shows_them(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path / "in", {"ppo": PPO, "q_star": Q_STAR}, (3, 4)))
    keep([results], tmp_path / "data")
    kept = read_results(tmp_path / "data" / "made_tiny")
    before, after = kept.answers("ppo", 3, first=True), kept.answers("q_star", 3)
    assert [one.prompt for one in before] == [0, 1, 2, 3]
    assert [one.completion for one in after] == ["Answer of q_star."] * 4 + [""] * 8
    assert not any(one.prompt_text for one in kept.answers("ppo", 4))
    assert [one.reward_gold for one in after] == [one.reward_gold for one in results.answers("q_star", 3)]


@pytest.mark.parametrize("score", ["val/reward_gold", "val/reward_proxy"])
def test_proxy_rewards_stay_where_they_are_compared(tmp_path: Path, score: str) -> None:
    folder = results_folder(
        tmp_path / "in", {"ppo": PPO}, (0,), proxy=0.5, evaluation={"score": score, "metrics": ["val/reward_gold"]}
    )
    keep([read_results(folder)], tmp_path / "data")
    kept = read_results(tmp_path / "data" / "made_tiny").answers("ppo", 0)
    assert {one.reward_proxy for one in kept} == ({0.5} if score.endswith("proxy") else {None})


def test_a_histogram_for_each_run_with_the_counts_of_all_that_are_drawn(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path / "in", {"ppo": PPO, "q_star": Q_STAR}, (0,)))
    keep([results], tmp_path / "data")
    (only,) = read_results(tmp_path / "data" / "made_tiny").histograms("q_star", 0, "alpha")
    assert only.step == 100
    assert only.count.tolist() == [0, 3, 20, 40, 5, 0]  # that of step 50 is not drawn
