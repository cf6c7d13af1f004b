"""All figures of a folder: those that its data allow, and why the others are missing."""

from dataclasses import replace
from pathlib import Path

from results_folder import PPO, Q_STAR, results_folder

from qstar_pl.experiments.report.figures import LeftOut, Panel, groups, save, time_figures
from qstar_pl.experiments.report.reading import read_results

COVERED = {"ess/policy": 0.8, "ess/target": 0.9, "alpha/std": 0.1, "weights/ess_fraction": 0.7}


def test_everything_that_was_recorded_is_drawn(tmp_path: Path) -> None:
    made = replace(Q_STAR, constant={**Q_STAR.constant, **COVERED})
    results = read_results(results_folder(tmp_path / "in", {"ppo": PPO, "q_star": made}, (0, 1)))
    found = [one for part in groups(results).values() for one in part]
    left = {one.title: one.why for one in found if isinstance(one, LeftOut)}
    assert left == {
        "Scaling": "no axis of this experiment has 3 levels that are numbers",
        "Weights of answers": "no finished run recorded log_weights",
    }
    panels = [one for one in found if isinstance(one, Panel)]
    assert {"ends", "score_samples", "score_kl", "seeds", "ess_both", "ess_ratio", "alpha", "alpha_histogram"} < {
        one.name for one in panels
    }
    assert len({one.name for one in panels}) == len(panels)
    assert all(one.alt.endswith(".") and one.caption.endswith(".") for one in panels)
    for name, word in (("ess_both", "ESS_t"), ("seeds", "minus ppo"), ("score_kl", "nats per answer")):
        assert word in save(next(one for one in panels if one.name == name), tmp_path / "out").read_text()


def test_seconds_stand_in_no_figure_but_those_on_time(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path, {"ppo": PPO, "q_star": Q_STAR}, (0, 1)))
    assert [one.name for one in time_figures(results) if isinstance(one, Panel)] == ["time_score", "time_pareto"]
    others = [one for part in groups(results).values() for one in part if isinstance(one, Panel)]
    assert [one.name for one in others if one.name.startswith("time") or " s." in one.alt] == []


def test_so_many_cells_that_nobody_could_compare_them_have_their_scores_drawn_alone(tmp_path: Path) -> None:
    cells = {f"cell_{number:02}": PPO for number in range(37)}
    results = read_results(results_folder(tmp_path, cells, (0,), prompts=1))
    learning = groups(results)["Learning"]
    names = [one.name for one in learning if isinstance(one, Panel)]
    assert names == ["ends", "ends_2", "score_samples", *(f"score_samples_{number}" for number in range(2, 6)), "seeds"]
    assert LeftOut("Score over generated tokens", "so many cells would take 5 figures") in learning
    assert sum(isinstance(one, LeftOut) for one in learning) == 5  # tokens, generated tokens, KL twice, and no scale
