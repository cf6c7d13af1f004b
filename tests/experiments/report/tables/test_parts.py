"""The table of the parts of what is held out."""

from pathlib import Path

from results_folder import OFF_POLICY, PPO, Q_STAR, results_folder

from qstar_pl.experiments.report.reading import read_results
from qstar_pl.experiments.report.tables.comparison import compare
from qstar_pl.experiments.report.tables.parts import part_table
from qstar_pl.experiments.report.written.files import section


def test_each_part_has_its_score_and_differences(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path, {"ppo": PPO, "q_star": Q_STAR}, parts=("code", "dialogue")))
    table = part_table(results)
    assert [row[:2] for row in table.rows] == [
        (part, cell) for part in ("code", "dialogue") for cell in ("ppo", "q_star")
    ]
    code = compare(results, "q_star", "ppo", "val/reward_gold/code")
    assert code is not None
    assert code.bootstrap is not None
    assert table.rows[1][4:6] == ("ppo", f"{code.mean:+.3f}")
    assert all(one == "–" for one in table.rows[0][4:])
    assert "Holm's correction over these 2." in table.notes[0]
    assert table in section(results).tables


def test_pairs_that_the_experiment_names_are_compared_in_each_part(tmp_path: Path) -> None:
    cells = {"ppo": PPO, "q_star": Q_STAR, "off_policy": OFF_POLICY}
    named = [("q_star", "off_policy"), ("q_star", "ppo")]  # the second is there as it is
    results = read_results(results_folder(tmp_path, cells, parts=("code", "dialogue"), comparisons=named))
    table = part_table(results)
    assert [(row[1], row[4]) for row in table.rows if row[0] == "dialogue"] == [
        ("ppo", "–"),
        ("q_star", "ppo"),
        ("off_policy", "ppo"),
        ("q_star", "off_policy"),
    ]
    found = compare(results, "q_star", "off_policy", "val/reward_gold/dialogue")
    assert found is not None
    assert table.rows[-1][5] == f"{found.mean:+.3f}"
    assert "Holm's correction over these 6." in table.notes[0]


def test_a_single_dataset_has_no_such_table(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path, {"ppo": PPO, "q_star": Q_STAR}))
    assert part_table(results).rows == ()
