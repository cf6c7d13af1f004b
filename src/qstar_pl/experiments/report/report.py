"""The report of one or several experiments: a page, tables, and a file for each figure."""

from __future__ import annotations

from collections.abc import Sequence, Set
from pathlib import Path

from qstar_pl.experiments.report.figures import Panel, save
from qstar_pl.experiments.report.figures.groups import groups, time_figures
from qstar_pl.experiments.report.page import rendered
from qstar_pl.experiments.report.page.chapter import chapter
from qstar_pl.experiments.report.page.contents import Chapter, Page, Verdicts
from qstar_pl.experiments.report.reading import Results
from qstar_pl.experiments.report.verdicts.every import judged
from qstar_pl.experiments.report.verdicts.verdict import Verdict
from qstar_pl.experiments.report.written.files import section, write_tables
from qstar_pl.files import write_text

PAGE, FIGURES = "index.html", "figures"
FEW = 4
"""So many experiments have all of their figures on the page; of more the main ones, the others lie beside it."""
SUFFIXES = (".svg", ".png")


def write_report(experiments: Sequence[Results], output: Path) -> Path:
    """Write everything; return the page.

    The same results give the same bytes, apart from the sections on time and times.md, times.tex and time_….

    Args:
        experiments: at least one. Verdicts are on all of them together.
        output: folder; `figures/` in it holds only what is drawn now.

    """
    keys = _keys(experiments)
    every = judged(experiments)
    verdicts = [(title, [one for one in found if not one.is_time]) for title, found in every]
    timed = [one for _, found in every for one in found if one.is_time]
    own, own_timed = (verdicts, timed) if len(experiments) == 1 else ((), ())
    is_main_only = len(experiments) > FEW
    chapters = [
        _chapter(one, key, _place(output, key, keys), own, own_timed, f"{FIGURES}/{key}" if is_main_only else "")
        for one, key in zip(experiments, keys, strict=True)
    ]
    if len(experiments) == 1:
        page = Page(experiments[0].title, chapters)
    else:
        page = Page(f"{len(experiments)} experiments", chapters, verdicts, timed)
        _clear(output / FIGURES)  # of an only experiment
    write_tables(experiments, output)
    write_text(output / PAGE, rendered(page))
    return output / PAGE


def _chapter(
    results: Results, key: str, folder: Path, verdicts: Verdicts, timed: Sequence[Verdict], beside: str
) -> Chapter:
    found, late = groups(results), time_figures(results)
    panels = [one for figures in (*found.values(), late) for one in figures if isinstance(one, Panel)]
    svgs = {one.name: save(one, folder).read_text(encoding="utf-8") for one in panels}
    _clear(folder, {f"{name}{suffix}" for name in svgs for suffix in SUFFIXES})
    return chapter(results, key, section(results), found, late, svgs, verdicts, timed, beside)


def _clear(folder: Path, kept: Set[str] = frozenset()) -> None:
    """Remove the figures of an earlier report, which had more to show."""
    for file in folder.glob("*.*"):
        if file.name not in kept and file.suffix in SUFFIXES:
            file.unlink()


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
