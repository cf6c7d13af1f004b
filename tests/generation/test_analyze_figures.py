"""What the pictures are drawn of; a look at them is no test."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from qstar_pl.generation.analyze_figures import DRAWINGS, rolling_mean, rolling_ratio, save_figures
from qstar_pl.generation.analyze_reading import COLUMNS, Diagnostics


def run_of(name: str = "run", **columns: list[float]) -> Diagnostics:
    count = len(next(iter(columns.values())))
    empty = {column: np.full(count, np.nan) for column in COLUMNS}
    return Diagnostics(name, Path("x"), {**empty, **{key: np.array(values) for key, values in columns.items()}})


def axes_of(monkeypatch: pytest.MonkeyPatch, runs: list[Diagnostics], folder: Path) -> dict[str, tuple[list, list]]:
    """Save the figures, and return axes and legends of each."""
    from matplotlib.figure import Figure

    seen = {}

    def look(figure: Figure, path: Path, **_: object) -> None:
        seen[Path(path).name] = (figure.axes, figure.legends)

    monkeypatch.setattr(Figure, "savefig", look)
    save_figures(runs, folder)
    return seen


def test_rolling_mean_against_a_loop():
    values = np.array([1.0, np.nan, 3.0, 5.0, 2.0])
    slow = [np.nanmean(values[max(0, end - 3) : end]) for end in range(1, 6)]
    assert_allclose(rolling_mean(values, 3), slow)


def test_rolling_ratio_is_the_ratio_of_sums_over_tokens():
    theta, t, tokens = [0.5, 0.9, 0.8], [0.9, 0.1, 0.8], [1.0, 2.0, 5.0]
    run = run_of(ess_theta_mean=theta, ess_t_mean=t, tokens=tokens)
    slow = [
        sum(tokens[i] * theta[i] for i in range(max(0, end - 2), end))
        / sum(tokens[i] * t[i] for i in range(max(0, end - 2), end))
        for end in range(1, 4)
    ]
    assert_allclose(rolling_ratio(run, 2), slow)
    assert_allclose(rolling_ratio(run_of(ess_ratio=[0.5, 2.0, 4.0]), 2), [0.5, 1.0, 8.0**0.5])


def test_ratios_stand_on_logarithmic_axes_and_legends_off_the_curves(monkeypatch, tmp_path):
    run = run_of(
        alpha_mean=[0.4, 0.6], ess_ratio=[0.5, 17.0], ess_theta_mean=[0.4, 0.8], ess_t_mean=[0.8, 0.05],
        kl_theta_mean=[0.1, 0.2], kl_t_mean=[0.1, 0.3], tokens=[3.0, 1.0],
    )  # fmt: skip
    figures = axes_of(monkeypatch, [run], tmp_path)
    assert set(figures) == set(DRAWINGS)
    assert figures["ess_ratio.png"][0][0].get_xscale() == "log"
    assert figures["alpha_ess.png"][0][0].get_yscale() == "log"
    assert [axis.get_yscale() for axis in figures["evolution.png"][0]] == ["linear", "log", "linear"]
    for axes, legends in figures.values():
        assert len(legends) == 1
        assert all(axis.get_legend() is None for axis in axes)
    low, high = figures["ess_ratio.png"][0][0].get_xlim()
    assert low < 0.5 < 17.0 < high, "no answer is cut off"


def test_what_no_run_can_show_is_left_out(monkeypatch, tmp_path):
    ratios_only = run_of(alpha_mean=[0.4, 0.6], ess_ratio=[0.9, 1.2])
    assert set(axes_of(monkeypatch, [ratios_only], tmp_path)) == {
        "alpha.png",
        "ess_ratio.png",
        "alpha_ess.png",
        "evolution.png",
    }
    assert axes_of(monkeypatch, [run_of(tokens=[3.0])], tmp_path) == {}
