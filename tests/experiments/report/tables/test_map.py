from pathlib import Path

from results_folder import PPO, Q_STAR, MadeCell, results_folder

from qstar_pl.experiments.report.reading import read_results
from qstar_pl.experiments.report.tables.map import map_table


def test_a_row_says_who_wins_by_how_much_and_how_sure_that_is(tmp_path: Path) -> None:
    cells = {
        f"{method}-{target}-gold": MadeCell(one.classes, {"method": method, "target": target, "reward": "gold"}, gain)
        for method, one, gains in (("ppo", PPO, (0.2, 0.2)), ("q_star", Q_STAR, (0.3, 0.2)))
        for target, gain in zip(("near", "far"), gains, strict=True)
    }
    table = map_table(read_results(results_folder(tmp_path, cells, baseline="ppo-near-gold")))
    assert table.heads[:4] == ("budget", "target", "reward", "best")
    assert table.heads[-2:] == ("ppo", "q_star")
    near = next(row for row in table.rows if row[:3] == ("3,200", "near", "gold"))
    assert near[3] == "q_star"
    assert near[4].startswith("+0.")
    assert near[4].endswith("] (ppo)")
    assert float(near[-1]) - float(near[-2]) > 0.05
    far = next(row for row in table.rows if row[:3] == ("3,200", "far", "gold"))
    assert far[3].endswith(" (undecided)")
    assert "chosen by the numbers that they are compared by" in table.notes[2]
