"""What is said of an experiment around its figures."""

from dataclasses import replace
from pathlib import Path

from results_folder import PPO, Q_STAR, results_folder

from qstar_pl.experiments.report.page.chapter import command, facts, problems
from qstar_pl.experiments.report.reading import read_results


def test_what_was_run_and_what_went_wrong(tmp_path: Path) -> None:
    cells = {"ppo": PPO, "q_star": replace(Q_STAR, status="failed"), "late": replace(PPO, status="unfinished")}
    results = read_results(results_folder(tmp_path, cells, (3, 4)))
    assert dict(facts(results)) == {
        "experiment": "made, tiny",
        "runs": "3 cells × 2 seeds, 2 finished",
        "seeds": "3, 4",
        "budget": "3,200 samples a run",
        "score": "val/reward_gold",
        "baseline": "ppo",
        "held-out prompts": "the same for all cells",
        "code": "0.1.0+68bf",
    }
    assert problems(results) == [
        "q_star, seed 3 failed: it ran out of memory",
        "q_star, seed 4 failed: it ran out of memory",
        "not finished: late, seed 3; late, seed 4",
    ]
    assert command(results) == "qstar experiment made --variant=tiny --seeds=3,4"


def test_an_experiment_by_hand_has_no_command_of_its_own(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path, {"ppo": PPO}, (3,), budget=None))
    assert command(results) == ""
    assert ("budget", "each run its own") in facts(results)
