"""The analysis as tables, on the screen and in markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

SHOWN = (
    ("alpha_mean", "α"),
    ("alpha_std", "s.d. of α in an answer"),
    ("ess_ratio", "ESS ratio (θ over t)"),
    ("ess_theta_mean", "ESS_θ"),
    ("ess_t_mean", "ESS_t"),
    ("kl_theta_mean", "D(q‖π_θ), nats/token"),
    ("kl_t_mean", "D(q‖π_t), nats/token"),
    ("kl_gap_mean", "mean |D(q‖π_θ) − D(q‖π_t)| over tokens"),
    ("acceptance_mean", "acceptance of π_θ drafts"),
    ("log_z_sum", "Σ log Z, nats/answer"),
    ("uncovered_mass_mean", "π_θ outside q's support"),
    ("tokens", "tokens"),
)
COMPARED = ("alpha_mean", "kl_theta_mean", "kl_t_mean", "acceptance_mean", "log_z_sum", "tokens")
HEADINGS = ("mean", "std", "min", "q05", "q25", "q50", "q75", "q95", "max")

Rows = list[list[str]]


NARROW = ("mean", "std", "q05", "q50", "q95")
"""Those that fit 80 columns; the others are in the files."""
CHECK_HEADINGS = ("run", "check", "value", "which is", "result", "share of answers")
NARROW_CHECKS = ("run", "check", "value", "result", "share of answers")
"""Those that leave the name of a check room in 80 columns."""
WIDE = 130
"""Columns of a terminal from which on everything is printed."""
NOTHING = 1e-9
"""What is smaller is what rounding leaves of 0."""


def number(value: float | None) -> str:
    """Return a value with four significant digits, or a dash for None."""
    if value is None:
        return "–"
    return "0" if abs(value) < NOTHING else f"{value:.4g}"


def with_spread(average: float, spread: float) -> str:
    """Return "mean ± s.d." with as many decimals as give the larger of the two two digits."""
    largest = max(abs(average), abs(spread))
    if not NOTHING < largest < math.inf:
        return f"{number(average)} ± {number(spread)}"
    decimals = max(0, 1 - math.floor(math.log10(largest)))
    return f"{average:.{decimals}f} ± {spread:.{decimals}f}"


def statistics_rows(run: Mapping[str, Any], headings: Sequence[str] = HEADINGS) -> Rows:
    """Return a table of a run's distributions over answers, headings first."""
    rows = [["per answer", *headings]]
    for column, label in SHOWN:
        numbers = run["statistics"][column]
        rows.append([label, *(number(None if numbers is None else numbers[name]) for name in headings)])
    return rows


def check_rows(runs: Mapping[str, Any], headings: Sequence[str] = CHECK_HEADINGS) -> Rows:
    """Return a table of all checks of all runs, headings first."""
    rows = [list(headings)]
    for name, run in runs.items():
        for check in run["checks"]:
            result = "" if check["passed"] is None else "pass" if check["passed"] else "FAIL"
            result = " – ".join(part for part in (result, check["note"]) if part)
            share = "–" if check["share_of_rows"] is None else f"{check['share_of_rows']:.1%}"
            cells = (name, check["check"], number(check["value"]), check["value_is"], result, share)
            said = dict(zip(CHECK_HEADINGS, cells, strict=True))
            rows.append([said[heading] for heading in headings])
    return rows


def comparison_rows(runs: Mapping[str, Any]) -> Rows:
    """Return a table with a line per run, headings first."""
    labels = dict(SHOWN)
    rows = [["run", "answers", "ESS ratio of the run", *(labels[column] for column in COMPARED), "checks passed"]]
    for name, run in runs.items():
        cells = []
        for column in COMPARED:
            numbers = run["statistics"][column]
            cells.append("–" if numbers is None else with_spread(numbers["mean"], numbers["std"]))
        judged = [check["passed"] for check in run["checks"] if check["passed"] is not None]
        passed = f"{sum(judged)}/{len(judged)}" if judged else "no π_t"
        rows.append([name, str(run["rows"]), number(run["ess_ratio"]), *cells, passed])
    return rows


def _titled(analysis: Mapping[str, Any], *, wide: bool = True) -> list[tuple[str, Rows]]:
    runs = analysis["runs"]
    headings = HEADINGS if wide else NARROW
    titled = [(_title(name, run), statistics_rows(run, headings)) for name, run in runs.items()]
    titled.append(("Checks of theory", check_rows(runs, CHECK_HEADINGS if wide else NARROW_CHECKS)))
    if len(runs) > 1:
        rows = comparison_rows(runs)
        # A column per run instead of a line: two or three runs fit 80 columns.
        rows = rows if wide else [list(row) for row in zip(*rows, strict=True)]
        titled.append(("Runs side by side, mean ± s.d. over answers", rows))
    return titled


def _title(name: str, run: Mapping[str, Any]) -> str:
    cut = f", {run['prompts_cut']} of them to prompts that were cut" if run["prompts_cut"] else ""
    return f"{name}: {run['rows']} answers{cut} ({run['file']})"


def print_analysis(analysis: Mapping[str, Any], console: Console) -> None:
    """Print all tables."""
    for title, (headings, *rows) in _titled(analysis, wide=console.width >= WIDE):
        table = Table(title=title, title_justify="left")
        for place, heading in enumerate(headings):
            table.add_column(heading, justify="right" if place else "left", overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print(table)


def markdown(analysis: Mapping[str, Any], figures: Sequence[str]) -> str:
    """Return all tables and the figures as markdown."""
    parts = ["# Generated data: diagnostics"]
    for title, (headings, *rows) in _titled(analysis):
        lines = [f"| {' | '.join(row)} |" for row in (headings, ["---"] * len(headings), *rows)]
        parts.append("\n".join([f"## {title}", "", *lines]))
    # Markdown shows images; a PDF it can only name.
    parts += [f"{'' if name.endswith('.pdf') else '!'}[{name}]({name})" for name in figures]
    return "\n\n".join(parts) + "\n"
