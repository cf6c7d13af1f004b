"""`qstar win-rate`: win rates, also at equal lengths, and ratings from files of a judge's preferences.

    qstar win-rate alpaca-7b.annotations.json.gz
    qstar win-rate alpaca-7b.annotations.json --gamed df_gamed.csv
    qstar win-rate first.json second.json third.json --output ratings.json

Files are of alpaca_eval's format: instruction, output_1 and generator_1 (the baseline's), output_2 and generator_2 (the
model's), preference (1: the baseline wins, 2: the model, 1.5 or 0: a draw, between 1 and 2: a probability, none: no
verdict). Models that were judged against the same baseline are compared prompt by prompt, and three methods or more
rated by Bradley and Terry's model on Elo's scale.

Lengths are controlled for as in AlpacaEval 2. Its own number needs its file df_gamed.csv (--gamed), of the dataset
tatsu-lab/alpaca_eval: answers of the baseline that differ in length alone, and the difficulty of each instruction.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from qstar_pl.checks import at_least, within
from qstar_pl.cli.tool_parser import ToolParser, place
from qstar_pl.errors import UserError, argument_called
from qstar_pl.files import check_not_read, check_writable, write_text
from qstar_pl.spelling import counted, probability

if TYPE_CHECKING:
    from qstar_pl.evaluation.statistics import Estimate
    from qstar_pl.evaluation.win_rates import Annotation, ModelDifference, PairReport, Ratings

GROUP = "look"
"""Below which heading `qstar --help` lists it."""


def parser() -> ToolParser:
    """Return the command's parser."""
    top = ToolParser("qstar win-rate", __doc__)
    top.add_argument("annotations", type=place, nargs="+", help="files of preferences: .json or .jsonl, also gzipped")
    top.add_argument(
        "--gamed",
        type=place,
        help="AlpacaEval's df_gamed.csv, whose prompts are the annotations' in their order; default: none",
    )
    top.add_argument("--confidence", type=float, default=0.95, help="of the intervals, in (0, 1)")
    top.add_argument(
        "--prior",
        type=float,
        default=0.0,
        help="draws added to every compared pair before rating; some are needed if a method always wins",
    )
    top.add_argument("--output", type=place, help="a JSON file of all numbers; default: none is written")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    given = parser().parse_args(argv)
    within("(0, 1)", confidence=given.confidence)
    at_least(0, prior=given.prior)
    if given.output is not None:
        _check_output(given)
    from qstar_pl.evaluation.win_rates import (
        model_differences,
        pair_reports,
        read_alpaca_annotations,
        read_gamed_baseline,
    )

    with argument_called("annotations", inside="path"):
        annotations = [one for path in given.annotations for one in read_alpaca_annotations(path)]
    with argument_called("gamed", inside="path"):
        gamed = None if given.gamed is None else read_gamed_baseline(given.gamed)
    reports = pair_reports(annotations, gamed=gamed, confidence=given.confidence)
    differences = model_differences(annotations, confidence=given.confidence)
    ratings, refusal = _rated(annotations, given.prior, given.confidence)
    for report in reports:
        print("\n".join(report_lines(report)))
    if differences:
        print("\n".join(difference_lines(differences)))
    if ratings is not None:
        print_ratings(ratings)
    if refusal:
        print(f"note: no ratings: {refusal}", file=sys.stderr)
    if given.output is not None:
        write_text(given.output, json.dumps(as_json(reports, differences, ratings), indent=2) + "\n")
        print(f"{given.output}: all numbers")
    return 0


def _check_output(given: Any) -> None:
    from qstar_pl.data.reading import local_files

    check_writable(given.output)
    with argument_called("annotations", inside="path"):
        read = [file for path in given.annotations for file in local_files(str(path)) or []]
    if given.gamed is not None:
        with argument_called("gamed", inside="path"):
            read += local_files(str(given.gamed)) or []
    check_not_read(given.output, read)


def _rated(annotations: Sequence[Annotation], prior: float, confidence: float) -> tuple[Ratings | None, str]:
    """Return ratings of three methods or more, or why there are none."""
    from qstar_pl.evaluation.win_rates import bradley_terry

    models, baselines = [one.model for one in annotations], [one.baseline for one in annotations]
    if len({*models, *baselines}) < 3:
        return None, ""
    preferences = [float("nan") if one.preference is None else one.preference for one in annotations]
    prompts = [one.prompt for one in annotations]
    try:
        return bradley_terry(models, baselines, preferences, prompts, prior=prior, confidence=confidence), ""
    except UserError as error:
        return None, str(error)


def report_lines(report: PairReport) -> list[str]:
    """Return what is printed of a pair of models, in percent."""
    from qstar_pl.console import fact_lines

    rates = report.rates
    missing = f", {rates.missing} without a verdict" if rates.missing else ""
    facts = {
        "win rate": percent(rates.win_rate),
        "discrete": percent(rates.discrete_win_rate),
        "counts": ", ".join(
            (counted(rates.wins, "win"), counted(rates.draws, "draw"), counted(rates.losses, "loss", "losses"))
        )
        + missing,
        "length": f"{report.length:.0f} characters, the baseline's {report.baseline_length:.0f}",
        "at equal length": f"{percent(report.length_controlled)}; controlled for {report.controls}",
    }
    comparisons = counted(rates.win_rate.rows + rates.missing, "comparison")
    title = f"{report.model} against {report.baseline}: {comparisons}"
    return [title, *fact_lines(facts)]


def difference_lines(differences: Sequence[ModelDifference]) -> list[str]:
    """Return what is printed of models that were judged against the same baseline, in percent of the prompts."""
    lines = ["win rates compared, prompt by prompt (p of sign flips, after Holm):"]
    several = len({one.baseline for one in differences}) > 1
    for one in differences:
        against = f" (both against {one.baseline})" if several else ""
        p_value = "" if one.p_value is None else f", p {probability(one.p_value)}"
        lines.append(f"  {one.model} minus {one.than}{against}: {percent(one.paired.difference)}{p_value}")
    return lines


def percent(estimate: Estimate) -> str:
    """Return "26.46 % ± 1.54, 95% interval 23.5 to 29.6", or as much of it as there is, and why there is no more."""
    if estimate.value is None:
        return f"none: {estimate.reason}"
    text = f"{100 * estimate.value:.2f} %"
    if estimate.error is not None:
        text += f" ± {100 * estimate.error:.2f}"
    if estimate.interval is None:
        return f"{text} ({estimate.reason})"
    interval = estimate.interval
    return f"{text}, {100 * interval.confidence:g}% interval {100 * interval.low:.2f} to {100 * interval.high:.2f}"


def print_ratings(ratings: Ratings) -> None:
    """Print a line per method, strongest first."""
    from rich.table import Table

    from qstar_pl.console import SpellingConsole

    console = SpellingConsole()
    table = Table(title="ratings (Bradley–Terry)", title_justify="left")
    for heading in ("method", "Elo", "interval", "wins against the others, %", "comparisons"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for one in ratings.methods:
        table.add_row(
            console.verbatim(one.name),
            f"{one.elo:.0f} ± {one.error:.0f}",
            f"{one.interval.low:.0f} to {one.interval.high:.0f}",
            f"{100 * one.win_rate:.1f}",
            str(one.comparisons),
        )
    console.print(table)


def as_json(
    reports: Sequence[PairReport], differences: Sequence[ModelDifference], ratings: Ratings | None
) -> dict[str, Any]:
    """Return all numbers, rates in [0, 1], under the names of the dataclasses' fields."""
    rated = None
    if ratings is not None:
        rated = {
            "methods": [asdict(one) for one in ratings.methods],
            "probabilities": ratings.probabilities.tolist(),
        }
    return {
        "pairs": [asdict(one) for one in reports],
        "differences": [asdict(one) for one in differences],
        "ratings": rated,
    }


if __name__ == "__main__":
    sys.exit(main())
