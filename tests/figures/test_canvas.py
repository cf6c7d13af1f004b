"""Files of figures: their formats, their bytes, and what is left alone around them."""

import logging
import math
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from qstar_pl.errors import UserError
from qstar_pl.figures import (
    check_suffix,
    drawn,
    finite_points,
    legend_below,
    line_style,
    note,
    plain,
    ratio_axis,
    title,
)


def draw(path: Path) -> Path:
    with drawn(path, 2.0) as figure:
        axis = figure.subplots()
        axis.plot([0, 1], [0.5, 2.0], label="D(q‖π_θ), α, ½", **line_style(1).line(2))
        ratio_axis(axis.yaxis)
        title(figure, "α of π_θ")
        note(axis, "1 of 2", "", "3")
        legend_below(figure)
    return path


@pytest.mark.parametrize(("suffix", "begin"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".SVG", b"<?xml")])
def test_the_suffix_says_the_format_and_the_numbers_the_bytes(tmp_path: Path, suffix: str, begin: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no letter is missing from the font
        first = draw(tmp_path / "new" / f"a{suffix}").read_bytes()
    assert first.startswith(begin)
    assert draw(tmp_path / f"b{suffix}").read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"b{suffix}", "new"]


def test_one_drawing_gives_several_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with drawn(tmp_path / f"{name}.svg", 2.0, also=(".png",)) as figure:
            figure.subplots().plot([0, 1])
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    for suffix in (".svg", ".png"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    with pytest.raises(UserError, match=r"got .*a\.gif"), drawn(tmp_path / "a.svg", also=(".gif",)):
        raise AssertionError


def test_another_suffix_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    for name in ("figure", "figure.gif"):
        with (
            pytest.raises(UserError, match=r"^output must end in \.png, \.pdf or \.svg, got .*figure"),
            drawn(tmp_path / name),
        ):
            raise AssertionError
    check_suffix(Path("a.PNG"))


def test_a_failed_figure_leaves_the_older_one(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"older")
    with pytest.raises(ZeroDivisionError), drawn(path):
        1 / 0  # noqa: B018
    assert path.read_bytes() == b"older"


def test_settings_of_the_caller_neither_count_nor_change(tmp_path: Path) -> None:
    import matplotlib as mpl

    logging.getLogger("matplotlib").setLevel(logging.NOTSET)
    first = draw(tmp_path / "a.png").read_bytes()
    with mpl.rc_context({"font.family": ["no such font"], "lines.linewidth": 9.0}):
        assert draw(tmp_path / "b.png").read_bytes() == first
        assert mpl.rcParams["lines.linewidth"] == 9.0
    assert logging.getLogger("matplotlib").level == logging.NOTSET


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    names = ["a$b$", "_hidden", "x" * 300, "数据", "a_b^c{"]
    with drawn(tmp_path / "a.png", 2.0) as figure:
        axis = figure.subplots()
        for number, name in enumerate(names):
            axis.plot([0], [number], label=plain(name), **line_style(number).line(1))
        legend_below(figure)
        shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown[0] == r"a\$b\$"
    assert shown[1].strip() == "_hidden"
    assert len(shown[2]) == 70
    assert len(shown) == len(names)


def test_lines_differ_in_more_than_their_color() -> None:
    styles = [line_style(number) for number in range(28)]
    assert len(set(map(str, styles))) == 28
    assert len({(str(style.dashes), style.marker) for style in styles}) == 28, "in black and white too"


def test_long_lines_carry_some_markers() -> None:
    style = line_style(0)
    marked = [style.line(points, each=each)["markevery"] for points in (1, 10, 8000) for each in (False, True)]
    assert marked == [1, 1, 1, 1, 1000, 1000]


def test_long_notes_and_titles_stay_in_the_figure(tmp_path: Path) -> None:
    with drawn(tmp_path / "a.png", 4.0) as figure:
        for axis in figure.subplots(2, 2).flat:
            note(axis, *(f"run {number}: 1 of 100 points NaN" for number in range(6)))
        title(figure, "a long title " * 12)
        figure.canvas.draw()
        texts = [figure._suptitle, *(axis._left_title for axis in figure.axes)]
        assert all(text.get_window_extent().x1 <= figure.bbox.x1 for text in texts)


def test_numbers_that_are_none_are_counted() -> None:
    points = [(0.0, 1.0), (1.0, math.nan), (2.0, math.inf)]
    assert finite_points(points) == ([(0.0, 1.0)], "2 of 3 points NaN or infinite")
    assert finite_points(points[:1]) == (points[:1], "")


def test_ratios_have_ticks_that_one_can_read(tmp_path: Path) -> None:
    def ticks(low: float, high: float) -> list[str]:
        with drawn(tmp_path / "a.png", 2.0) as figure:
            axis = figure.subplots()
            axis.set_ylim(low, high)
            ratio_axis(axis.yaxis)
            axis.set_ylim(low, high)
            figure.canvas.draw()
            shown = [label.get_text() for label in axis.get_yticklabels()]
            assert axis.transData.transform((0, 1.0))[1] == pytest.approx(
                (axis.transData.transform((0, 0.5))[1] + axis.transData.transform((0, 2.0))[1]) / 2
            )
        return shown

    assert ticks(0.25, 4.0) == ["¼", "½", "1", "2", "4"]
    assert ticks(0.4, 3.0) == ["½", "1", "2"]
    assert "1" in ticks(0.9, 1.1)
    assert "1.05" in ticks(0.9, 1.1)
    wide = ticks(2.0**-30, 2.0**30)
    assert "1" in wide
    assert len(wide) <= 9


@pytest.mark.parametrize(("named", "used"), [("none_such", False), ("svg", True)])
def test_a_notebooks_backend_need_not_be_installed(named: str, used: bool, tmp_path: Path) -> None:
    """MPLBACKEND is handed on to all that is started from a notebook; matplotlib refuses one that is not there."""
    code = (
        "import sys; from pathlib import Path; from qstar_pl.figures import drawn\n"
        "with drawn(Path(sys.argv[1])) as figure: figure.add_subplot().plot([1, 2])\n"
        "import matplotlib.pyplot; print(matplotlib.get_backend().lower())\n"  # a caller's own figures
    )
    environment = {**os.environ, "MPLBACKEND": named}
    file = tmp_path / "drawn.png"
    words = [sys.executable, "-c", code, str(file)]
    said = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
    assert file.read_bytes().startswith(b"\x89PNG")
    assert (said.stdout.strip() == named) is used
