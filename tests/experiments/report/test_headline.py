from dataclasses import replace
from pathlib import Path

import numpy as np
from results_folder import OFF_POLICY, PPO, Q_STAR, MadeCell, results_folder
from scipy.stats import t as student

from qstar_pl.experiments.report.headline import headline
from qstar_pl.experiments.report.reading import read_results
from qstar_pl.experiments.report.tables.measures.measure import number

SCORE = "val/reward_gold"


def said(folder: Path, cells: dict[str, MadeCell], seeds: int = 3) -> tuple[str, str, str]:
    return headline(read_results(results_folder(folder, cells, range(seeds))))


def test_three_sentences_where_q_star_wins(tmp_path: Path) -> None:
    best, asked, sure = said(tmp_path, {"ppo": PPO, "off_policy": OFF_POLICY, "q_star": Q_STAR})
    assert best.startswith("Of 3 cells q_star has the highest mean val/reward_gold after 3,200 samples: 0.69")
    assert asked.startswith("q* (q_star) ends 0.09")
    assert asked.endswith(" after Holm over 2, 3 seeds): q* wins.")
    assert sure.startswith("Of 2 differences 2 are significant after Holm's correction; with 3 seeds")


def test_of_one_difference_no_count_is_given(tmp_path: Path) -> None:
    _, _, sure = said(tmp_path, {"ppo": PPO, "q_star": Q_STAR})
    assert sure.startswith("The only difference is significant; with 3 seeds")
    assert sure.endswith(" cannot be told from chance.")


def test_what_can_be_told_is_said_of_the_difference_of_q_star(tmp_path: Path) -> None:
    """Off-policy differs far more between seeds; Holm's first step is the hardest, a single test the easiest."""
    cells = {"ppo": PPO, "off_policy": replace(OFF_POLICY, seeds_differ=0.2), "q_star": Q_STAR}
    results = read_results(results_folder(tmp_path, cells, range(5)))
    apart = [results.run("q_star", s).after[SCORE] - results.run("ppo", s).after[SCORE] for s in range(5)]  # type: ignore[union-attr]
    spread = np.std(apart, ddof=1)
    below, above = (spread * student.ppf(1 - 0.025 / tests, 4) / np.sqrt(5) for tests in (1, 2))
    assert headline(results)[2].endswith(
        f"with 5 seeds, over which q_star − ppo varies by {number(spread)} (s.d.), one below {number(below)} cannot be "
        f"told from chance, and one above {number(above)} surely can."
    )


def test_under_several_conditions_the_spread_is_the_median_one(tmp_path: Path) -> None:
    cells = {
        f"{name}-{noise}": replace(one, factors={"method": name, "noise": noise})
        for noise in ("0", "1", "2")
        for name, one in (("ppo", PPO), ("q", Q_STAR))
    }
    assert "over which the median of 3 such differences varies by " in said(tmp_path, cells)[2]


def test_where_it_does_not_win_the_paragraph_says_so(tmp_path: Path) -> None:
    cells = {"ppo": PPO, "q_star": replace(Q_STAR, gain=0.15)}
    assert said(tmp_path / "loses", cells)[1].endswith(": q* does not win, it loses.")
    cells["q_star"] = replace(Q_STAR, gain=0.203)
    assert said(tmp_path / "alike", cells)[1].endswith(": q* does not win: the difference may be chance.")
    cells["q_star"] = Q_STAR
    _, asked, sure = said(tmp_path / "one", cells, seeds=1)
    assert asked.endswith("(no test with one seed, 1 seed): q* does not win: the difference may be chance.")
    assert sure == "How sure this is cannot be said: one seed does not tell how seeds differ."


def test_where_q_star_is_the_baseline_the_best_of_the_others_is_named(tmp_path: Path) -> None:
    cells = {
        name: replace(Q_STAR, factors={"method": "q_star", "solver": name}, gain=gain)
        for name, gain in (("fine", 0.3), ("rough", 0.1), ("middle", 0.2))
    }
    asked = said(tmp_path, cells)[1]
    assert asked.startswith("middle, the best of the others, ends 0.1")
    assert asked.endswith("middle does not win, it loses.")


def test_under_many_conditions_they_are_counted(tmp_path: Path) -> None:
    cells = {
        f"{name}-{noise}": replace(one, factors={"method": name, "noise": noise}, gain=gain)
        for noise, gain_of_q_star in (("0", 0.3), ("1", 0.15), ("2", 0.3))
        for name, one, gain in (("ppo", PPO, 0.2), ("q", Q_STAR, gain_of_q_star))
    }
    assert said(tmp_path, cells, seeds=5)[1] == (
        "q* is ahead of its baseline under 2 of 3 conditions, significantly (Holm over 3) under 2, and significantly "
        "behind under 1."
    )


def test_a_cell_alone_is_not_ranked(tmp_path: Path) -> None:
    best, asked, _ = said(tmp_path, {"ppo": PPO, "q_star": replace(Q_STAR, status="failed")})
    assert best.startswith("ppo alone has ended, with a mean val/reward_gold after 3,200 samples: 0.6")
    assert asked == "Whether q* beats the baseline ppo cannot be said: no seed has ended with both."


def test_where_no_cell_is_q_star_nothing_is_said_of_it(tmp_path: Path) -> None:
    cells = {name: replace(PPO, factors={"method": "sft", "quality": name}) for name in ("half", "whole")}
    results = read_results(results_folder(tmp_path / "apart", cells))
    apart = replace(results, runs=tuple(replace(run, held_out=run.cell) for run in results.runs))
    assert (
        headline(apart)[1]
        == "Whether another cell beats the baseline half cannot be said: other prompts were held out."
    )
    diverged = tuple(
        replace(run, after={**run.after, SCORE: np.nan} if run.cell == "half" else run.after) for run in results.runs
    )
    assert headline(replace(results, runs=diverged))[1] == (
        f"Whether another cell beats the baseline half cannot be said: no seed has ended with a finite {SCORE} of both."
    )
    assert said(tmp_path / "alone", {"half": cells["half"]})[1] == "There is no other cell to hold it against."
    cells = {name: replace(one, status="failed") for name, one in cells.items()}
    assert said(tmp_path / "none", cells)[1] == "So nothing can be said of them."


def test_nothing_has_ended(tmp_path: Path) -> None:
    assert said(tmp_path, {"ppo": MadeCell(status="unfinished")})[0] == (
        "No run of made has ended with a finite val/reward_gold."
    )
