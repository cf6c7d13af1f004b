"""A figure inside a page."""

import re
from importlib.resources import files
from pathlib import Path

from qstar_pl.experiments.report.figures.panel import Panel, axes, save
from qstar_pl.experiments.report.page.inline import CLASSES, inline
from qstar_pl.figures import line_style


def drawn(tmp_path: Path) -> str:
    def draw(figure: object) -> None:
        axis = axes(figure, "1.23456 samples", "π_θ")
        axis.plot([0, 1 / 3, 1], [0.123456, 0.4, 0.2], **line_style(0).line(3))

    return save(Panel("a", "A", "", "", draw), tmp_path).read_text()


def test_its_colors_are_those_of_the_page_and_its_text_is_kept(tmp_path: Path) -> None:
    text = inline(drawn(tmp_path), "one", 'rises & "falls" < 1')
    assert re.findall(r"#[0-9a-f]{6}", text) == []
    assert "currentColor" in text
    assert "var(--line-0)" in text
    assert "DejaVu" not in text
    assert {'class="grid"', 'class="tick"', 'class="text-middle"', 'class="text-end"'} <= set(
        re.findall(r'class="[^"]*"', text)
    )
    assert ">1.23456 samples</text>" in text
    assert not re.search(r"<[^>]*\d\.\d{3,}", text)
    assert '<title id="one-title">rises &amp; &quot;falls&quot; &lt; 1</title>' in text
    assert 'role="img" aria-labelledby="one-title"' in text


def test_every_class_is_in_the_style_sheet() -> None:
    rules = (files("qstar_pl.experiments.report.page") / "templates/style.css").read_text()
    assert [name for name in CLASSES.values() if f".figure .{name}" not in rules] == []


def test_no_identifier_meets_that_of_another_figure(tmp_path: Path) -> None:
    one, other = (inline(drawn(tmp_path), name, "") for name in ("one", "other"))
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (one, other)]
    used = set(re.findall(r"(?:url\(#|href=\"#)([^\")]+)", one))
    assert used
    assert used < ids[0]
    assert not ids[0] & ids[1]
