"""Axes whose levels are numbers."""

from pathlib import Path

import pytest
from results_folder import MadeCell, results_folder

from qstar_pl.experiments.report.figures.panel import LeftOut, Panel, save
from qstar_pl.experiments.report.figures.scaling import level, scales, scaling
from qstar_pl.experiments.report.reading import read_results


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("n10k", ("n", 10_000.0)),
        ("t0.7", ("t", 0.7)),
        ("bisection_5", ("bisection", 5.0)),
        ("newton_0.000001", ("newton", 1e-6)),
        ("plain", None),
        ("5_steps", None),
        ("", None),
    ],
)
def test_a_level_is_words_and_a_number(text: str, found: tuple[str, float] | None) -> None:
    assert level(text) == found


def test_an_axis_with_three_numbers_is_drawn_with_a_line_per_method(tmp_path: Path) -> None:
    cells = {
        f"{method}-{size}": MadeCell(factors={"method": method, "prompts": size}, gain=gain)
        for method in ("ppo", "q_star")
        for size, gain in (("n10k", 0.1), ("n50k", 0.2), ("n500k", 0.3))
    }
    results = read_results(results_folder(tmp_path / "in", cells))
    (one,) = scales(results)
    assert (one.axis, one.words, list(one.lines), one.is_wide) == ("prompts", "n", ["ppo", "q_star"], True)
    assert list(one.lines["ppo"]) == [10_000.0, 50_000.0, 500_000.0]
    (panel,) = scaling(results)
    assert isinstance(panel, Panel)
    text = save(panel, tmp_path / "out").read_text()
    assert all(f">{word}</text>" in text for word in ("10k", "500k", "prompts (n)", "q_star"))


def test_two_levels_or_words_are_no_scale(tmp_path: Path) -> None:
    cells = {name: MadeCell(factors={"k": name}) for name in ("plain", "k2", "k4")}
    (left,) = scaling(read_results(results_folder(tmp_path, cells)))
    assert left == LeftOut("Scaling", "no axis of this experiment has 3 levels that are numbers")
