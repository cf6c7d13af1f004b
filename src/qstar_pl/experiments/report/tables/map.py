"""The map as a table: the winner and its margins under every condition, at parts of the budget."""

from __future__ import annotations

from qstar_pl.experiments.report.map import Margin, Place, places
from qstar_pl.experiments.report.reading import Results
from qstar_pl.experiments.report.tables.main import p_text
from qstar_pl.experiments.report.tables.measures.measure import NOTHING
from qstar_pl.experiments.report.tables.table import Table


def map_table(results: Results) -> Table:
    """Return a row for every place of the map; without rows if the experiment is none."""
    found = places(results)
    axes = tuple(dict.fromkeys(axis for place in found for axis in place.levels))
    methods = tuple(dict.fromkeys(method for place in found for method in place.scores))
    heads = ("budget", *axes, "best", "margin over the second", "p (Holm)", "over on-policy", "p (Holm)", *methods)
    rows = tuple(_row(place, axes, methods) for place in found)
    return Table("The map", heads, rows, 2 + len(axes), _notes(results, found))


def _row(place: Place, axes: tuple[str, ...], methods: tuple[str, ...]) -> tuple[str, ...]:
    second, plain = place.over_second, place.over_on_policy
    decided = "" if place.is_decided else " (undecided)"
    return (
        f"{place.spent:,.0f}",
        *(place.levels.get(axis, NOTHING) for axis in axes),
        f"{place.best}{decided}",
        f"{_text(second)} ({second.than})",
        p_text(second.holm),
        NOTHING if plain is None else _text(plain),
        NOTHING if plain is None else p_text(plain.holm),
        *(f"{place.scores[method]:.3f}" if method in place.scores else NOTHING for method in methods),
    )


def _text(margin: Margin) -> str:
    at = margin.interval
    return f"{margin.mean:+.3f}" + ("" if at is None else f" [{at.low:+.3f}, {at.high:+.3f}]")


def _notes(results: Results, found: tuple[Place, ...]) -> tuple[str, ...]:
    if not found:
        return ()
    counts = sorted({len(place.seeds) for place in found})
    seeds = "one seed" if counts == [1] else f"{' to '.join(map(str, dict.fromkeys((counts[0], counts[-1]))))} seeds"
    unit = results.budget[0] if results.budget else "samples"
    decided = sum(place.is_decided for place in found)
    return (
        f"Score: {results.score}, mean over {seeds}; budget in {unit}, read off the learning curves.",
        "Margins: of the best method, paired by seed, with Student's 95% interval over seeds; p, two-sided, after "
        "Holm's correction over both margins of all conditions at the same budget.",
        "Best and second are chosen by the numbers that they are compared by, so margins are rather too large.",
        f"Undecided: the interval of the margin over the second holds 0, or there is none; "
        f"decided are {decided} of {len(found)} places.",
    )
