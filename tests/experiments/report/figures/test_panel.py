"""Labels beside the ends of lines, and the two files of a figure."""

from pathlib import Path

import pytest
from PIL import Image

from qstar_pl.experiments.report.figures.panel import Label, Panel, apart, axes, label_ends, save, within
from qstar_pl.figures import line_style


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([0.1, 0.5, 0.9], [0.1, 0.5, 0.9]),
        ([0.5, 0.5], [0.45, 0.55]),
        ([0.55, 0.5, 0.1], [0.575, 0.475, 0.1]),
        ([0.5, 0.5, 0.6], [0.5 + 1 / 30 - 0.1, 0.5 + 1 / 30, 0.6 + 1 / 30]),
        ([], []),
    ],
)
def test_labels_keep_apart_and_move_no_further_than_that_needs(wanted: list[float], found: list[float]) -> None:
    assert apart(wanted, 0.1) == pytest.approx(found)


def test_labels_stay_beside_the_axes_as_long_as_there_is_room() -> None:
    assert within([0.95, 1.05], 0.1) == pytest.approx([0.9, 1.0])
    assert within([-0.05, 0.05, 0.7], 0.1) == pytest.approx([0.0, 0.1, 0.7])
    assert within([0.0, 0.6, 1.2], 0.6) == pytest.approx([-0.2, 0.4, 1.0])


def test_both_files_are_written_and_text_stays_text(tmp_path: Path) -> None:
    def draw(figure: object) -> None:
        axis = axes(figure, "samples", "D(q‖π_θ), nats")
        axis.plot([0, 1], [0.2, 0.4])
        label_ends(axis, [Label("one_two", 0.4, line_style(0)), Label("$x", 0.4, line_style(1))])

    path = save(Panel("a", "A", "", "", draw), tmp_path)
    text = path.read_text()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.png", "a.svg"]
    for word in ("samples", "D(q‖π_θ), nats", "one_two", "$x"):
        assert f">{word}</text>" in text


def test_a_picture_has_a_palette(tmp_path: Path) -> None:
    def draw(figure: object) -> None:
        axes(figure, "x", "y").plot([0, 1], [0, 1])

    save(Panel("a", "A", "", "", draw), tmp_path)
    with Image.open(tmp_path / "a.png") as picture:
        assert (picture.mode, picture.size) == ("P", (705, 450))
