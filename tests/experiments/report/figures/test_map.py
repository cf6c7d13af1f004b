"""The map as a figure."""

from pathlib import Path

from results_folder import PPO, Q_STAR, MadeCell, results_folder

from qstar_pl.experiments.report.figures import LeftOut, Panel, groups, save
from qstar_pl.experiments.report.figures.map import the_map
from qstar_pl.experiments.report.reading import Results, read_results


def made(folder: Path, *, status: str = "finished") -> Results:
    """Return a map on which q* wins near, and nobody can tell far."""
    cells = {
        f"ppo-{reward}": MadeCell(PPO.classes, {"method": "ppo", "reward": reward}) for reward in ("gold", "noisy")
    }
    for target, gain, spread in (("near", 0.4, 0.01), ("at", 0.2, 0.1), ("far", 0.2, 0.1)):
        for reward in ("gold", "noisy"):
            factors = {"method": "q_star", "target": target, "reward": reward}
            one = MadeCell(Q_STAR.classes, factors, gain, spread, status=status)
            cells[f"q_star-{target}-{reward}"] = one
    return read_results(results_folder(folder, cells, baseline="ppo-gold"))


def test_every_condition_says_who_wins_and_by_how_much(tmp_path: Path) -> None:
    results = made(tmp_path / "in")
    (panel,) = the_map(results)
    assert isinstance(panel, Panel)
    assert panel.alt.startswith("The best method of 6 conditions: after 800 samples")
    assert next(iter(groups(results))) == "Conditions"
    drawn = save(panel, tmp_path / "out").read_text()
    for word in (
        "after 1,600 samples (1/2 of the budget)",
        "the whole budget",
        ">near<",
        ">noisy<",
        ">reward<",
        ">target<",
    ):
        assert word in drawn
    assert drawn.count("q_star") + drawn.count(">ppo<") == 3 * 6
    assert "+.2" in drawn  # the margin near the policy
    assert "url(#" in drawn  # hatches, of what is undecided


def test_without_finished_runs_it_is_left_out(tmp_path: Path) -> None:
    (left,) = the_map(made(tmp_path, status="failed"))
    assert left == LeftOut("The map", "no condition has two methods that have finished with the same seed")


def test_no_map_no_figure(tmp_path: Path) -> None:
    assert list(the_map(read_results(results_folder(tmp_path, {"ppo": PPO, "q_star": Q_STAR}, [0])))) == []
