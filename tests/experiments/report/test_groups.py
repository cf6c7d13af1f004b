from pathlib import Path

from results_folder import PPO, Q_STAR, MadeCell, results_folder

from qstar_pl.experiments.report.groups import Group, group_of, groups
from qstar_pl.experiments.report.reading import read_results
from qstar_pl.experiments.report.tables.main import main_table


def test_methods_are_compared_under_the_same_conditions(tmp_path: Path) -> None:
    cells = {
        f"{method}-{size}": MadeCell(made.classes, {"method": method, "size": size})
        for size in ("small", "large")
        for method, made in (("ppo", PPO), ("q_star", Q_STAR))
    }
    found = groups(read_results(results_folder(tmp_path, cells, [0])))
    assert found == (
        Group({"size": "small"}, "ppo-small", ("ppo-small", "q_star-small")),
        Group({"size": "large"}, "ppo-large", ("ppo-large", "q_star-large")),
    )
    assert (found[1].name, found[1].others) == ("size large", ("q_star-large",))


def test_a_cell_to_which_an_axis_is_nothing_stands_in_every_group_that_agrees(tmp_path: Path) -> None:
    cells = {
        f"ppo-{reward}": MadeCell(PPO.classes, {"method": "ppo", "reward": reward}) for reward in ("gold", "proxy")
    }
    for target in ("near", "far"):
        for reward in ("gold", "proxy"):
            factors = {"method": "q_star", "target": target, "reward": reward}
            cells[f"q_star-{target}-{reward}"] = MadeCell(Q_STAR.classes, factors)
    results = read_results(results_folder(tmp_path, cells, [0], baseline="ppo-proxy"))
    found = groups(results)
    assert [(dict(one.levels), one.cells) for one in found] == [
        ({"reward": reward, "target": target}, (f"ppo-{reward}", f"q_star-{target}-{reward}"))
        for target in ("near", "far")
        for reward in ("gold", "proxy")
    ]
    assert [row[0] for row in main_table(results).rows].count("ppo-gold") == 1


def test_with_one_method_its_axes_are_what_is_compared(tmp_path: Path) -> None:
    cells = {alpha: MadeCell({}, {"method": "q_star", "alpha": alpha}) for alpha in ("entropy", "fixed", "kl")}
    (found,) = groups(read_results(results_folder(tmp_path, cells, [0], baseline="fixed")))
    assert (found.name, found.baseline, found.cells) == ("", "fixed", ("fixed", "entropy", "kl"))


def test_tuned_cells_are_compared_with_a_tuned_baseline(tmp_path: Path) -> None:
    cells = {
        f"{alpha}-{tuned}": MadeCell({}, {"method": "q_star", "alpha": alpha, "tuned": tuned})
        for tuned in ("shared", "tuned")
        for alpha in ("fixed", "kl")
    }
    results = read_results(results_folder(tmp_path, cells, [0]))
    assert [group.baseline for group in groups(results)] == ["fixed-shared", "fixed-tuned"]
    assert group_of(results, "kl-tuned").name == "tuned settings"
