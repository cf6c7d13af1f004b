"""What the pictures are drawn of; a look at them is no test."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from qstar_pl.generation.analyze_figures import DRAWINGS, rolling_mean, rolling_ratio, save_figures
from qstar_pl.generation.analyze_reading import COLUMNS, Diagnostics


def run_of(name: str = "run", **columns: Sequence[float]) -> Diagnostics:
    count = len(next(iter(columns.values())))
    empty = {column: np.full(count, np.nan) for column in (*COLUMNS, "kl_difference")}
    return Diagnostics(name, Path("x"), {**empty, **{key: np.array(values) for key, values in columns.items()}})


def figures_of(monkeypatch: pytest.MonkeyPatch, runs: list[Diagnostics], folder: Path) -> dict[str, Figure]:
    """Draw the figures and return them by name; nothing is rendered."""
    seen = {}

    def look(figure: Figure, path: Path, **_: object) -> None:
        Path(path).write_bytes(b"")
        seen[Path(path).name.removeprefix(".").removesuffix(".png.unfinished")] = figure

    monkeypatch.setattr(Figure, "savefig", look)
    assert list(save_figures(runs, folder).names) == [f"{name}.png" for name in seen]
    return seen


def whole_run(count: int, name: str = "run") -> Diagnostics:
    random = np.random.default_rng(0)
    alpha, ratio, kl = (
        random.uniform(0.3, 0.9, count),
        np.exp(random.normal(0, 0.1, count)),
        random.gamma(2, 0.1, count),
    )
    return run_of(
        name, alpha_mean=alpha, ess_ratio=ratio, ess_theta_mean=ratio / 4, ess_t_mean=np.full(count, 0.25),
        kl_theta_mean=kl, kl_t_mean=kl * ratio, kl_difference=abs(kl - kl * ratio), tokens=np.full(count, 3.0),
    )  # fmt: skip


def said(figure: Figure) -> str:
    """All that is written in a figure beside numbers."""
    texts = [figure.get_suptitle(), *(text.get_text() for legend in figure.legends for text in legend.get_texts())]
    for axis in figure.axes:
        texts += [axis.get_title(loc="left"), axis.get_xlabel(), axis.get_ylabel()]
    return "\n".join(texts)


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
        kl_theta_mean=[0.1, 0.2], kl_t_mean=[0.1, 0.3], kl_difference=[0.0, 0.1], tokens=[3.0, 1.0],
    )  # fmt: skip
    figures = figures_of(monkeypatch, [run], tmp_path)
    assert set(figures) == set(DRAWINGS)
    assert figures["ess_ratio"].axes[0].get_xscale() == "log"
    assert figures["alpha_ess"].axes[0].get_yscale() == "log"
    assert [axis.get_yscale() for axis in figures["evolution"].axes] == ["linear", "log", "linear"]
    for figure in figures.values():
        assert len(figure.legends) == 1
        assert all(axis.get_legend() is None for axis in figure.axes)
        assert figure.get_suptitle()
    low, high = figures["ess_ratio"].axes[0].get_xlim()
    assert low < 0.5 < 17.0 < high, "no answer is cut off"


def test_bands_are_shaded_named_and_counted_and_axes_have_units(monkeypatch, tmp_path):
    figures = figures_of(monkeypatch, [whole_run(200), whole_run(100, "other")], tmp_path)
    for name, words in {
        "alpha": ("shaded: α in [0.2, 0.8]", "of 200 answers in the band", "share of answers in a bin, %"),
        "ess_ratio": ("shaded: ESS ratio in [0.9, 1.1]", "other: ", "ESS_θ / ESS_t of an answer (log axis)"),
        "kl": ("shaded: they differ by less than 0.05 nats", "of 100 answers", "nats/token"),
        "alpha_ess": ("shaded: α in [0.2, 0.8]", "hatched: ESS ratio in [0.9, 1.1]", "answers in both bands"),
        "evolution": (
            "20 answers in a mean",
            "solid: D(q‖π_θ); dotted and hollow: D(q‖π_t)",
            "answer, in the order of the data",
        ),
    }.items():
        for word in words:
            assert word in said(figures[name]), name


def test_what_an_axis_does_not_show_is_counted(monkeypatch, tmp_path):
    run = whole_run(12_000)
    run.columns["ess_ratio"][:3] = [1e9, np.inf, np.nan]
    run.columns["kl_theta_mean"][:2] = [np.nan, 1e-12]
    figures = figures_of(monkeypatch, [run], tmp_path)
    assert "of the answers: 1 undefined, 1 infinite, 1 further right or above" in said(figures["ess_ratio"])
    assert "1 undefined or infinite, 1 below 1e-06 nats, drawn there, one in 3 is drawn" in said(figures["kl"])
    assert "3 not on the axes, one in 3 is drawn" in said(figures["alpha_ess"])
    (points,) = [one for one in figures["alpha_ess"].axes[0].collections if len(one.get_offsets()) > 1]
    assert len(points.get_offsets()) == 4000


def test_a_fixed_alpha_does_not_dwarf_the_others(monkeypatch, tmp_path):
    fixed = run_of("fixed", alpha_mean=[0.5] * 9)
    other = run_of("other", alpha_mean=list(np.linspace(0.3, 0.7, 50)))
    tops = [
        figures_of(monkeypatch, runs, tmp_path)["alpha"].axes[0].get_ylim()[1]
        for runs in ([fixed], [other], [fixed, other])
    ]
    assert tops[0] > 100
    assert tops[2] == tops[1] < 20


@pytest.mark.parametrize("count", [1, 4])
def test_few_answers_are_drawn_too(tmp_path, count):
    assert len(save_figures([whole_run(count)], tmp_path, ".svg").names) == len(DRAWINGS)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{name}.svg" for name in DRAWINGS)


def test_what_no_run_can_show_is_left_out_with_a_line(monkeypatch, tmp_path):
    ratios_only = run_of(alpha_mean=[0.4, 0.6], ess_ratio=[0.9, 1.2])
    assert set(figures_of(monkeypatch, [ratios_only], tmp_path)) == {"alpha", "ess_ratio", "alpha_ess", "evolution"}
    assert save_figures([ratios_only], tmp_path).left_out == ("run has no values for kl.png",)
    assert figures_of(monkeypatch, [run_of(tokens=[3.0])], tmp_path) == {}
