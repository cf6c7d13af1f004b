"""The report as a table on the terminal and in markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.table import Table

from qstar_pl.console import SpellingConsole
from qstar_pl.describing import shortened
from qstar_pl.evaluating.report.report import Report
from qstar_pl.evaluation.statistics import Estimate
from qstar_pl.spelling import counted, probability

NOTHING = "–"
SMALLEST = 0.00005
"""What is below has four zeros behind the point."""
SIDES = ("answers", "baseline")


def printed(report: Report, console: SpellingConsole | None = None) -> None:
    """Print the table, intervals and Holm's p below their numbers, then the win rate and what was left out."""
    console = console or SpellingConsole()
    both = any(number.baseline is not None for number in report.numbers)
    headings = ["metric", "answers", *(["baseline", "difference", "p (Holm)"] if both else [])]
    table = Table(*headings, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    table.columns[0].overflow = "fold"
    for number in report.numbers:
        row = [number.key, "\n".join(_shown(number.answers))]
        if both:
            compared = number.compared
            row += ["\n".join(_shown(number.baseline))]
            row += ["\n".join(_shown(None if compared is None else compared.difference, sign=True))]
            row += [f"{_p(None if compared is None else compared.p_value)}\n({_p(number.p_holm)})"]
        table.add_row(*map(console.verbatim, row))
    if report.numbers:
        console.print(table, highlight=False)
    for line in [*_evaluated(report), *remarks(report)]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _evaluated(report: Report) -> list[str]:
    """Return how many prompts and answers the numbers are of, and how sure the intervals are, in one line."""
    found = [f"{name} {facts['answers']}" for name in SIDES if (facts := report.about.get(name)) is not None]
    if "data" not in report.about:
        return []
    prompts = counted(report.about["data"]["evaluated"], "prompt")
    return [f"{prompts}; {', '.join(found)}; intervals of {_confidence(report)}"]


def markdown(report: Report) -> str:
    """Return the contents of results.md."""
    headings, rows = cells(report)
    lines = ["# Evaluation", ""]
    lines += [f"- {line.strip()}" for line in _about(report)]
    lines += ["", _row(headings), _row(["---", *["---:"] * (len(headings) - 1)]), *map(_row, rows), ""]
    lines += [f"{line.strip()}  " for line in remarks(report)]
    return "\n".join(lines).rstrip() + "\n"


def _row(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


def cells(report: Report) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows: the numbers of both sides, and how they differ."""
    both = any(number.baseline is not None for number in report.numbers)
    interval = f"{_confidence(report)} interval"
    headings = ["metric", "answers", interval]
    headings += ["baseline", interval, "difference", interval, "p", "p (Holm)"] if both else []
    headings += ["prompts"]
    rows = []
    for number in report.numbers:
        row = [number.key, *_shown(number.answers)]
        if both:
            row += _shown(number.baseline)
            row += _shown(None if number.compared is None else number.compared.difference, sign=True)
            row += [_p(None if number.compared is None else number.compared.p_value), _p(number.p_holm)]
        rows.append([*row, str(number.answers.groups)])
    return headings, rows


def remarks(report: Report) -> list[str]:
    """Return the win rate, what was left out, the reference model, which variants metrics are, a line each."""
    lines = []
    if (one := report.win_rate) is not None:
        value, interval = _shown(one.rate)
        lines.append(f"win rate against the baseline {value} {interval}, p {_p(one.p_value)}, Holm {_p(one.p_holm)}")
        outcomes = (counted(one.wins, "win"), counted(one.ties, "tie"), counted(one.losses, "loss", "losses"))
        lines.append(f"  {', '.join(outcomes)}; judge {one.judge}")
        if (controlled := one.length_controlled) is not None:
            text = " ".join(_shown(controlled))
            lines.append(f"  at equal lengths {text}{f' ({controlled.reason})' if controlled.reason else ''}")
        lines += [f"  {one.position}"] if one.position is not None else []
        lines += [f"  {counted(count, 'pair')} without a verdict: {reason}" for reason, count in one.without.items()]
    for reason in sorted({number.answers.reason for number in report.numbers if number.answers.reason}):
        names = ", ".join(number.key for number in report.numbers if number.answers.reason == reason)
        lines.append(f"no interval for {names}: {reason}")
    for count in sorted({number.without for number in report.numbers if number.without}):
        names = ", ".join(number.key for number in report.numbers if number.without == count)
        have, do = ("has", "does") if count == 1 else ("have", "do")
        lines.append(f"{counted(count, 'row')} {have} nothing that {names} could measure, and {do} not count there")
    for reason, count in report.about.get("data", {}).get("left_out", {}).items():
        lines.append(f"{counted(count, 'row')} left out: {reason}")
    if (reference := report.about.get("stages", {}).get("scores", {}).get("reference")) is not None:
        lines.append(f"reference model: {shortened(reference)}")
    lines += [f"{number.key}: {number.signature}" for number in report.numbers if number.signature is not None]
    return lines


def _about(report: Report) -> list[str]:
    lines = []
    for name in ("data", "answers", "baseline"):
        if (facts := report.about.get(name)) is not None:
            said = ", ".join(f"{key} {value}" for key, value in facts.items() if value not in ({}, None, ""))
            lines.append(f"{name}: {said}")
    return lines


def _confidence(report: Report) -> str:
    return f"{100 * report.about['statistics']['confidence']:g}%"


def _shown(one: Estimate | None, sign: bool = False) -> list[str]:
    if one is None or one.value is None:
        return [NOTHING, NOTHING]
    value = decimal(one.value, sign)
    return [value, NOTHING if one.interval is None else f"[{decimal(one.interval.low)}, {decimal(one.interval.high)}]"]


def decimal(value: float, sign: bool = False) -> str:
    """Return a number with four significant digits and without an exponent, so that columns can be read down.

    Of what is smaller, four digits behind the point; what would show as zero and is not says so.
    """
    if not math.isfinite(value):
        return str(value)
    size = float(f"{abs(value):.4g}")
    if 0 < size < SMALLEST:
        return "< 0.0001" if value > 0 else "> -0.0001"
    digits = 4 if size < 1 else max(0, 3 - math.floor(math.log10(size)))
    return f"{value:{'+' if sign else ''}.{digits}f}"


def _p(value: float | None) -> str:
    return NOTHING if value is None else probability(value)
