"""Time and performance."""

from dataclasses import replace
from pathlib import Path

from results_folder import PPO, Q_STAR, results_folder

from qstar_pl.experiments.report.figures.panel import LeftOut, Panel, save
from qstar_pl.experiments.report.figures.pareto import Place, front, pareto
from qstar_pl.experiments.report.reading import read_results


def test_the_front_holds_what_no_other_beats_in_both() -> None:
    places = {"slow": (9.0, 0.8), "best": (5.0, 0.8), "fast": (1.0, 0.2), "beaten": (2.0, 0.1), "tie": (1.0, 0.1)}
    assert front({name: Place(*place, 0.0, 0.0) for name, place in places.items()}) == ["fast", "best"]


def test_cells_stand_at_their_seconds(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path / "in", {"ppo": PPO, "q_star": Q_STAR}))
    (panel,) = pareto(results)
    assert isinstance(panel, Panel)
    assert "ppo 0.6" in panel.alt
    assert "after 30 s; q_star 0.7" in panel.alt
    assert "front" in panel.caption
    assert ">q_star</text>" in save(panel, tmp_path / "out").read_text()
    failed = read_results(results_folder(tmp_path / "failed", {"ppo": replace(PPO, status="failed")}))
    assert [type(one) for one in pareto(failed)] == [LeftOut]
