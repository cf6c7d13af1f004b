from dataclasses import replace
from pathlib import Path

import pytest
from results_folder import OFF_POLICY, PPO, Q_STAR, MadeCell, results_folder

from qstar_pl.experiments.report.reading import Results, read_results
from qstar_pl.experiments.report.tables.main import comparison_table, main_table, spent_table, times_table

CELLS = {"ppo": PPO, "off_policy": OFF_POLICY, "q_star": Q_STAR}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return read_results(results_folder(tmp_path_factory.mktemp("made"), CELLS))


def test_the_main_table(results: Results) -> None:
    table = main_table(results)
    assert table.heads == (
        "cell",
        "before",
        "after",
        "win rate",
        "sample efficiency",
        "ESS_θ/ESS_t",
        "gradient variance",
        "noise scale, samples",
        "KL(θ‖init), nats",
    )
    rows = {row[0]: dict(zip(table.heads, row, strict=True)) for row in table.rows}
    assert list(rows) == ["ppo", "off_policy", "q_star"]
    assert rows["q_star"]["after"].startswith("0.69")
    assert (rows["off_policy"]["sample efficiency"], rows["ppo"]["win rate"]) == ("never", "–")
    assert any(note.startswith("sample efficiency: ") for note in table.notes)
    assert not any("time" in head for head in table.heads)


def test_costs_and_times_stand_apart(results: Results) -> None:
    assert spent_table(results).rows[0] == ("ppo", "3,200", "90,000", "100,000")
    times = times_table(results)
    assert times.heads == ("cell", "training, s", "time efficiency", "run, s")
    assert times.rows[2][1] == "40"


def test_a_budget_of_tokens_asks_for_token_efficiency(results: Results) -> None:
    assert "token efficiency" in main_table(replace(results, budget=("tokens", 44000))).heads


def test_differences_say_what_so_few_seeds_can_show(results: Results) -> None:
    table = comparison_table(results)
    assert [row[:2] for row in table.rows] == [("off_policy", "ppo"), ("q_star", "ppo")]
    assert table.rows[1][-1] == "3/3"
    assert "With 3 seeds and 2 tests a difference of 3.6 of its own standard deviations" in table.notes[-1]
    alone = replace(results, runs=tuple(run for run in results.runs if run.seed == 0))
    assert "One seed shows nothing" in comparison_table(alone).notes[-1]


def test_what_a_reader_must_know_is_said(tmp_path: Path) -> None:
    cells = {
        "ppo": replace(PPO, replies=False),
        "fails": MadeCell(status="failed", replies=False),
        "one_step": MadeCell(replies=False),
    }
    notes = main_table(read_results(results_folder(tmp_path, cells, [0]))).notes
    assert "Left out, since failed: fails, seed 0." in notes
    assert "No gradient variance, which needs two micro-steps: one_step." in notes
    assert "No win rates: the folder holds no answers.parquet." in notes


def test_one_setting_under_two_names_is_said(tmp_path: Path) -> None:
    made = read_results(results_folder(tmp_path, {"ppo": PPO, "q_star": Q_STAR, "other": Q_STAR}))
    said = "The same numbers in every seed, as one setting under several names has them: q_star and other."
    assert said not in main_table(made).notes  # the noise is each cell's own
    ends = {run.seed: run.after for run in made.finished("q_star")}
    twins = tuple(replace(run, after=ends[run.seed]) if run.cell == "other" else run for run in made.runs)
    assert said in main_table(replace(made, runs=twins)).notes
    last = replace(twins[-1], after={**twins[-1].after, "val/reward_gold": 0.5})
    assert last.cell == "other"
    assert said not in main_table(replace(made, runs=(*twins[:-1], last))).notes


def test_gradients_of_unequal_batches_are_not_praised(tmp_path: Path) -> None:
    def noisy(samples: float) -> dict[str, float]:
        return {"grad/variance": 0.2, "grad/snr": 0.5, "grad/noise_scale": 2 * samples}

    cells = {"ppo": replace(PPO, constant=noisy(8)), "q_star": replace(Q_STAR, constant=noisy(16))}
    notes = main_table(read_results(results_folder(tmp_path, cells, [0]))).notes
    assert "Gradient variances are not of equally many samples, and not comparable: ppo 8, q_star 16." in notes


def test_many_conditions_are_named_once(tmp_path: Path) -> None:
    cells = {
        f"q-{place}": replace(Q_STAR, factors={"method": "q_star", "target": str(place)}, replies=False)
        for place in range(5)
    }
    table = main_table(read_results(results_folder(tmp_path, {"ppo": replace(PPO, replies=False), **cells}, [0])))
    assert [row[0] for row in table.rows] == ["ppo", *cells]
    assert "Baseline: that of the same target." in table.notes


def test_of_parts_it_says_whose_prompts_a_column_is_about(tmp_path: Path) -> None:
    judged = {
        "score": "val/reward_gold/code",
        "metrics": ["val/reward_gold/dialogue", "val/kl_policy_reference/dialogue"],
    }
    folder = results_folder(tmp_path, {"ppo": PPO, "q_star": Q_STAR}, parts=("code", "dialogue"), evaluation=judged)
    table = main_table(read_results(folder))
    assert "win rate and KL(θ‖init) without a part: on those prompts, too." in table.notes
    assert {"KL(θ‖init), nats", "reward_gold/dialogue", "KL(θ‖init)/dialogue, nats"} <= set(table.heads)
