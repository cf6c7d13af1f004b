"""The report of one or several experiments: a page, tables, and a file for each figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qstar_pl.experiments.report.figures import Panel, save
from qstar_pl.experiments.report.figures.groups import groups, time_figures
from qstar_pl.experiments.report.page import rendered
from qstar_pl.experiments.report.page.chapter import chapter
from qstar_pl.experiments.report.page.contents import Chapter, Page
from qstar_pl.experiments.report.reading import Results
from qstar_pl.files import write_text

PAGE, FIGURES = "index.html", "figures"


def write_report(experiments: Sequence[Results], output: Path) -> Path:
    """Write everything; return the page.

    The same results give the same bytes, apart from the sections on time.

    Args:
        experiments: at least one.
        output: folder; `figures/` in it holds only what is drawn now.

    """
    keys = _keys(experiments)
    chapters = [_chapter(one, key, _place(output, key, keys)) for one, key in zip(experiments, keys, strict=True)]
    title = experiments[0].title if len(experiments) == 1 else f"{len(experiments)} experiments"
    write_text(output / PAGE, rendered(Page(title, chapters)))
    return output / PAGE


def _chapter(results: Results, key: str, folder: Path) -> Chapter:
    found, timed = groups(results), time_figures(results)
    panels = [one for figures in (*found.values(), timed) for one in figures if isinstance(one, Panel)]
    svgs = {one.name: save(one, folder).read_text(encoding="utf-8") for one in panels}
    kept = {f"{name}{suffix}" for name in svgs for suffix in (".svg", ".png")}
    for file in folder.glob("*.*"):
        if file.name not in kept and file.suffix in (".svg", ".png"):
            file.unlink()  # of an earlier report, which had more to show
    return chapter(results, key, found, timed, svgs)


def _place(output: Path, key: str, keys: Sequence[str]) -> Path:
    return output / FIGURES if len(keys) == 1 else output / FIGURES / key


def _keys(experiments: Sequence[Results]) -> list[str]:
    """Return a different word for each experiment, its name and variant where those differ."""
    keys = list[str]()
    for one in experiments:
        key = f"{one.name}_{one.variant}"
        same = sum(other == key or other.startswith(f"{key}-") for other in keys)
        keys.append(f"{key}-{same + 1}" if same else key)
    return keys
