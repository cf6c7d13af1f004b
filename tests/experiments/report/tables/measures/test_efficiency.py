from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from results_folder import PPO, Q_STAR, MadeCell, results_folder

from qstar_pl.experiments.report.reading import Results, read_results
from qstar_pl.experiments.report.tables.measures.efficiency import Efficiency

EXACT = 1e-4


def made(folder: Path, gain: float, seeds_differ: float = EXACT, seeds: int = 3) -> Results:
    cells = {
        "ppo": replace(PPO, seeds_differ=seeds_differ),
        "q_star": replace(Q_STAR, gain=gain, seeds_differ=seeds_differ),
    }
    return read_results(results_folder(folder, cells, range(seeds)))


def test_twice_the_slope_needs_half_the_samples(tmp_path: Path) -> None:
    results = made(tmp_path, 0.4)
    samples = Efficiency("samples")
    assert samples.over_seeds(results, "q_star", "ppo") == pytest.approx(2, abs=0.02)
    assert samples.text(results, "q_star", "ppo") == "2.00 ± 0.02"
    assert Efficiency("tokens").over_seeds(results, "q_star", "ppo") == pytest.approx(2, abs=0.02)
    # Its steps take 0.4 s, the baseline's 0.3 s.
    assert Efficiency("seconds").over_seeds(results, "q_star", "ppo") == pytest.approx(1.5, abs=0.02)
    assert samples.over_seeds(results, "ppo", "ppo") == pytest.approx(1.0)


def test_what_never_reaches_it_is_said_never(tmp_path: Path) -> None:
    results = made(tmp_path / "worse", 0.1)
    assert Efficiency().text(results, "q_star", "ppo") == "never"
    interval = Efficiency().interval(results, "q_star", "ppo")
    assert interval is not None
    assert (interval.low, interval.high) == (0, 0)
    unsure = made(tmp_path / "unsure", 0.22, seeds_differ=0.03, seeds=5)
    assert Efficiency().text(unsure, "q_star", "ppo") == "1.05 (never in 1 of 5)"
    unknown = replace(results, curves={})
    assert Efficiency().text(unknown, "q_star", "ppo") == "–"


def test_one_seed_has_a_number_and_no_interval(tmp_path: Path) -> None:
    results = made(tmp_path, 0.4, seeds=1)
    assert Efficiency().text(results, "q_star", "ppo").startswith("1.98")
    assert Efficiency().interval(results, "q_star", "ppo") is None


def test_the_interval_covers_the_true_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines with noise per seed, of a true ratio of 1.25; through the curves of a results object."""
    generator = np.random.default_rng(4)
    steps, covered, experiments = np.arange(0, 101, 5), 0, 300
    template = Results(
        Path(), "x", "tiny", "", "", "", None, "val/reward_gold", (), "ppo", (), (0, 1, 2), (), {}, {}, None, None
    )
    from qstar_pl.experiments.report.contents import Run

    empty = Run("", 0, {}, {}, "finished", "", "", {}, {}, {}, "a", "", "", "", None)
    runs = tuple(replace(empty, cell=cell, seed=seed) for cell in ("ppo", "q") for seed in range(3))
    for _ in range(experiments):
        curves = {}
        for cell, slope in (("ppo", 1.0), ("q", 1.25)):
            for seed in range(3):
                values = slope * (1 + 0.05 * generator.standard_normal()) * steps / 100
                columns = {"step": steps, "samples": steps * 32.0, "value": values}
                curves[cell, seed, "val/reward_gold"] = columns
        interval = Efficiency().interval(replace(template, runs=runs, curves=curves), "q", "ppo")
        assert interval is not None
        covered += interval.low <= 1.25 <= interval.high
    assert 0.92 <= covered / experiments <= 0.98


def test_a_cell_without_steps_in_common_has_none(tmp_path: Path) -> None:
    folder = results_folder(tmp_path, {"ppo": PPO, "late": MadeCell(status="unfinished")})
    assert Efficiency().text(read_results(folder), "late", "ppo") == "–"
