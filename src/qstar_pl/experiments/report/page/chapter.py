"""From what a results folder holds to what stands on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qstar_pl.experiments.report.figures import LeftOut, Panel, is_main
from qstar_pl.experiments.report.page.answers import side_by_side
from qstar_pl.experiments.report.page.contents import Chapter, Drawing, Group, Link, Times, Verdicts
from qstar_pl.experiments.report.page.inline import inline
from qstar_pl.experiments.report.reading import Results
from qstar_pl.experiments.report.verdicts.verdict import Verdict
from qstar_pl.experiments.report.written.files import Section
from qstar_pl.spelling import counted

Figures = Sequence[Panel | LeftOut]


def chapter(
    results: Results,
    key: str,
    said: Section,
    groups: Mapping[str, Figures],
    time_figures: Figures,
    svgs: Mapping[str, str],
    verdicts: Verdicts = (),
    timed: Sequence[Verdict] = (),
    beside: str = "",
) -> Chapter:
    """Return an experiment's part of the page.

    Args:
        results: what was read.
        key: begins its anchors; no other experiment of the page has it.
        said: its first paragraph and tables.
        groups: heading → figures.
        time_figures: those of what differs from run to run.
        svgs: name of a figure → its file's text.
        verdicts: on this experiment alone.
        timed: those that rest on seconds.
        beside: folder of the figures, as the page names it, if only the main ones stand on the page; "" for all.

    """
    prompts, note, reward = side_by_side(results)
    parts = [
        Group(title, _drawings(found, key, svgs, f"{key}-{number}-", beside), _left_out(found), _links(found, beside))
        for number, (title, found) in enumerate(groups.items())
    ]
    late = _drawings(time_figures, key, svgs, f"{key}-t-", beside)
    return Chapter(
        key,
        results.title,
        results.question,
        said.paragraph,
        facts(results),
        problems(results),
        results.description,
        verdicts,
        said.tables,
        parts,
        prompts,
        note,
        reward,
        Times(timed, said.times, late, _left_out(time_figures), _links(time_figures, beside)),
        command(results),
        [(f"{run.cell}, seed {run.seed}", run.command) for run in results.runs],
    )


def facts(results: Results) -> list[tuple[str, str]]:
    """Return what was run, in a few words each."""
    ended = sum(run.is_finished for run in results.runs)
    budget = "each run its own" if results.budget is None else f"{results.budget[1]:,} {results.budget[0]} a run"
    sets = len({run.held_out for run in results.runs})
    return [
        ("experiment", f"{results.name}, {results.variant}"),
        ("runs", f"{counted(len(results.cells), 'cell')} × {counted(len(results.seeds), 'seed')}, {ended} finished"),
        ("seeds", ", ".join(map(str, results.seeds))),
        ("budget", budget),
        ("score", results.score),
        ("baseline", results.baseline),
        ("held-out prompts", "the same for all cells" if sets == 1 else f"{sets} different sets"),
        ("code", ", ".join(sorted({run.code for run in results.runs}))),
    ]


def problems(results: Results) -> list[str]:
    """Return a line for each run that failed or ended off its budget, and one for those that are unfinished."""
    found = []
    for run in results.runs:
        name = f"{run.cell}, seed {run.seed}"
        if run.status == "failed":
            found.append(f"{name} failed: {run.reason}")
        elif run.off_budget:
            found.append(f"{name} is off budget: {run.off_budget}")
    unfinished = [f"{run.cell}, seed {run.seed}" for run in results.runs if run.status == "unfinished"]
    return found + ([f"not finished: {'; '.join(unfinished)}"] if unfinished else [])


def command(results: Results) -> str:
    """Return the command that runs the whole experiment; "" where it was put together by hand."""
    if results.budget is None:
        return ""
    seeds = ",".join(map(str, results.seeds))
    several = seeds if len(results.seeds) > 1 else f"{seeds},"
    return f"qstar experiment {results.name} --variant={results.variant} --seeds={several}"


def _drawings(found: Figures, key: str, svgs: Mapping[str, str], mark: str, beside: str) -> list[Drawing]:
    """Return figures; `mark` begins their identifiers."""
    drawings = list[Drawing]()
    for one in found:
        if isinstance(one, Panel) and (is_main(one) or not beside):
            svg = inline(svgs[one.name], f"{mark}{len(drawings)}", one.alt)
            drawings.append(Drawing(f"{key}-{one.name}", one.title, one.caption, one.alt, svg))
    return drawings


def _links(found: Figures, beside: str) -> list[Link]:
    """Return the figures that do not stand on the page, and where they lie."""
    others = [one for one in found if isinstance(one, Panel) and not is_main(one)] if beside else []
    return [(one.title, f"{beside}/{one.name}.svg") for one in others]


def _left_out(found: Figures) -> list[str]:
    return [f"{one.title}: left out, since {one.why}." for one in found if isinstance(one, LeftOut)]
