from dataclasses import replace
from math import nan
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from seed_results import result

from qstar_pl.experiments.quickstart import PANELS, save_figure
from qstar_pl.experiments.seeds import SeedResult


def drawn_by(monkeypatch: pytest.MonkeyPatch, results: list, folder: Path) -> Figure:
    made = []

    def look(figure: Figure, path: Path, **_: object) -> None:
        Path(path).write_bytes(b"")
        made.append(figure)

    monkeypatch.setattr(Figure, "savefig", look)
    save_figure(results, folder / "figure.png")
    return made[0]


def words(figure: Figure) -> str:
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    return "\n".join([figure.get_suptitle(), *legend, *(axis.get_title(loc="left") for axis in figure.axes)])


def test_figure_is_a_picture(tmp_path):
    save_figure([result(0, 0, 1), result(1, 0, 1)], tmp_path / "new" / "figure.png")
    assert (tmp_path / "new" / "figure.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_several_seeds_are_a_mean_with_a_band_that_is_explained(monkeypatch, tmp_path):
    one, five = ([result(seed, 0.1 * seed, 0.5) for seed in range(count)] for count in (1, 5))
    figure = drawn_by(monkeypatch, five, tmp_path)
    assert "mean of 5 seeds; band: ± 1 standard deviation" in words(figure)
    gold = next(line for line in figure.axes[0].lines if "held-out" in line.get_label())
    assert list(gold.get_ydata()) == pytest.approx([0.2, 0.5])
    alone = drawn_by(monkeypatch, one, tmp_path)
    assert "1 seed" in words(alone)
    other = [replace(one[0], name="DPO on tiny")]
    assert words(drawn_by(monkeypatch, other, tmp_path)).startswith("DPO on tiny, 1 seed")
    assert not any(axis.collections for axis in alone.axes), "no band of one"


def test_ratios_are_on_a_log_axis_with_the_accepted_band(monkeypatch, tmp_path):
    figure = drawn_by(monkeypatch, [result(0, 0, 1)], tmp_path)
    axis = next(axis for axis in figure.axes if "ESS_θ" in axis.get_ylabel())
    assert axis.get_yscale() == "log"
    assert "shaded: ESS ratio in [½, 2]" in words(figure)
    low, high = axis.get_ylim()
    assert low <= 0.5 < 2 <= high


def test_what_is_not_logged_has_no_panel_and_nan_is_counted(monkeypatch, tmp_path):
    some = result(0, 0.0, 1.0)
    figure = drawn_by(monkeypatch, [some], tmp_path)
    assert len(figure.axes) == len(PANELS) - 1, "nothing of kl/policy_reference"
    assert [axis.get_xlabel() for axis in figure.axes] == ["", "optimizer step", "optimizer step"]
    broken = replace(some, series={**some.series, "alpha/mean": [(1, nan), (2, 0.5)]})
    assert "alpha/mean, seed 0: 1 of 2 points NaN or infinite" in words(drawn_by(monkeypatch, [broken], tmp_path))


def test_nothing_to_draw_is_no_figure(tmp_path):
    bare = SeedResult(0, {"val/perplexity": 3.0}, {"val/perplexity": 2.0}, {"loss/total": [(1, 2.0)]}, 3.0)
    assert not save_figure([bare], tmp_path / "figure.png")
    assert not (tmp_path / "figure.png").exists()
