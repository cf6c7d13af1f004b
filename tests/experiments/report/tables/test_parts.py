"""The table of the parts of what is held out."""

from pathlib import Path

from results_folder import PPO, Q_STAR, results_folder

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


def test_a_single_dataset_has_no_such_table(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path, {"ppo": PPO, "q_star": Q_STAR}))
    assert part_table(results).rows == ()
