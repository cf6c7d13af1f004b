"""What there is to run: experiments, their cells, what they spend and how long that takes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from qstar_pl.experiments.matrix.experiment import Experiment
from qstar_pl.experiments.matrix.reading import Find, read_experiment, variants_of
from qstar_pl.spelling import counted

WIDTH = 100
TINY = "tiny"


def listing(files: Sequence[Path], find: Find) -> str:
    """Return a paragraph for every experiment, and how to run one."""
    lines, tiny = list[str](), list[Experiment]()
    for file in files:
        found = [read_experiment(file, variant, find) for variant in variants_of(file)]
        tiny += [one for one in found if one.variant == TINY]
        lines += [f"{file.stem}: {found[0].title}" if found else file.stem, *_paragraph(found), ""]
    lines += [_total(tiny)] if len(tiny) > 1 and all(one.minutes is not None for one in tiny) else []
    lines += ["qstar experiment NAME runs the tiny variant, --variant full the other; --dry_run prints the commands."]
    return "\n".join(lines)


def _paragraph(found: Sequence[Experiment]) -> Iterator[str]:
    if found:
        yield from textwrap.wrap(found[0].question, WIDTH, initial_indent="  ", subsequent_indent="  ")
    for one in found:
        count = f"{counted(len(one.cells), 'cell')} × {counted(len(one.seeds), 'seed')}"
        yield f"  {one.variant:<5} {count}, {one.budget} each{_time(one)}"
        if one.tune is not None:
            yield f"        {one.tune.said(len(one.cells))}"


def _total(tiny: Sequence[Experiment]) -> str:
    """Return what all tiny variants come to, each run once of those whose words are the same in several."""
    minutes, sweeps = dict[tuple[object, ...], float](), 0.0
    for one in tiny:
        expected = one.minutes or 0.0
        sweeps += (one.runs - len(one.cells) * len(one.seeds)) * expected
        for cell in one.cells:
            # A later stage has its words in common with runs that start elsewhere.
            of = (one.name, cell.name) if cell.after is not None else ()
            for seed in one.seeds:
                minutes.setdefault((tuple(sorted(cell.words)), seed, *of), expected)
    hours = (sum(minutes.values()) + sweeps) / 60
    swept = f", {sweeps / 60:.1f} h of it for tuning" if sweeps else ""
    return f"All tiny variants: {len(minutes)} different runs, at most {hours:.1f} h of one core{swept}."


def _time(one: Experiment) -> str:
    if one.minutes is None:
        return ""
    total = one.minutes * one.runs
    most = "" if one.tune is None else "at most "
    span = f"{total / 60:.1f} h" if total >= 90 else f"{total:.0f} min"
    return f"; about {one.minutes:g} min a run, {most}{span} one after the other"
