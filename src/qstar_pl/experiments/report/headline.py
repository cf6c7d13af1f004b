"""The first paragraph of a report: who learned most, whether q* beats the baseline, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qstar_pl.experiments.report import roles
from qstar_pl.experiments.report.groups import Group, groups
from qstar_pl.experiments.report.reading import Results
from qstar_pl.experiments.report.tables.comparison import Comparison, comparisons, smallest_effect, tests
from qstar_pl.experiments.report.tables.main import p_text
from qstar_pl.experiments.report.tables.measures.efficiency import common_seeds
from qstar_pl.experiments.report.tables.measures.measure import Summary, number, summary
from qstar_pl.experiments.report.tables.measures.score import ScoreAfter


def headline(results: Results, found: Sequence[Comparison] | None = None) -> tuple[str, str, str]:
    """Return three sentences from the numbers.

    Args:
        results: of the experiment.
        found: its comparisons; None to make them.

    """
    found = comparisons(results) if found is None else found
    scores = {cell: summary(ScoreAfter().per_seed(results, cell, "")) for cell in results.cells}
    known = {cell: one for cell, one in scores.items() if one is not None}
    if not known:
        nothing = f"No run of {results.name} has ended with a finite {results.score}."
        who = "q*" if roles.q_star(results, results.cells) else "them"
        return nothing, f"So nothing can be said of {who}.", "Nothing is sure."
    return _best(results, known), _q_star(results, found), _how_sure(results, found)


def _best(results: Results, scores: dict[str, Summary]) -> str:
    ranked = sorted(scores, key=lambda cell: -scores[cell].mean)
    spent = f" after {results.budget[1]:,} {results.budget[0]}" if results.budget else ""
    first = ranked[0]
    seeds = scores[first].seeds
    numbers = f"{results.score}{spent}: {scores[first].text()} ({seeds} seed{'s' if seeds != 1 else ''})"
    if len(ranked) == 1:
        return f"{first} alone has ended, with a mean {numbers}."
    second = f"{ranked[1]} with {scores[ranked[1]].text()}"
    return f"Of {len(ranked)} cells {first} has the highest mean {numbers}, before {second}."


def _q_star(results: Results, found: Sequence[Comparison]) -> str:
    pairs = _pairs(results, found)
    if not pairs:
        return _why_nothing(results)
    if len(pairs) <= 2:
        return " ".join(_sentence(results, group, one, tests(found)) for group, one in pairs)
    ahead = sum(one.mean > 0 for _, one in pairs)
    surely = sum(one.mean > 0 and one.is_significant for _, one in pairs)
    behind = sum(one.mean < 0 and one.is_significant for _, one in pairs)
    who = "q*" if any(roles.q_star(results, [one.cell]) for _, one in pairs) else "The best other cell"
    return (
        f"{who} is ahead of its baseline under {ahead} of {len(pairs)} conditions, significantly (Holm over "
        f"{tests(found)}) under {surely}, and significantly behind under {behind}."
    )


def _why_nothing(results: Results) -> str:
    """Return why no cell can be held against its baseline."""
    found = [group for group in groups(results) if group.others]
    if not found:
        return "There is no other cell to hold it against."
    asked = any(roles.q_star(results, group.others) and not roles.q_star(results, [group.baseline]) for group in found)
    both = [
        (results.run(cell, seed), results.run(group.baseline, seed))
        for group in found
        for cell in group.others
        for seed in common_seeds(results, cell, group.baseline)
    ]
    unlike = any(one and other and one.held_out != other.held_out for one, other in both)
    ended = f"no seed has ended with a finite {results.score} of both" if both else "no seed has ended with both"
    who = "q* beats" if asked else "another cell beats"
    baseline = f"the baseline {found[0].baseline}" if len(found) == 1 else "its baseline"
    return f"Whether {who} {baseline} cannot be said: {'other prompts were held out' if unlike else ended}."


def _pairs(results: Results, found: Sequence[Comparison]) -> list[tuple[Group, Comparison]]:
    """Return the comparison that matters in each group that has one."""
    return [(group, one) for group in groups(results) if (one := _asked(results, group, found)) is not None]


def _asked(results: Results, group: Group, found: Sequence[Comparison]) -> Comparison | None:
    """Return the comparison with the baseline that matters: that of q*, else that of the best other cell."""
    mine = [one for one in found if one.than == group.baseline and one.cell in group.others]
    cell = roles.q_star(results, group.others)
    if roles.q_star(results, [group.baseline]) is None and cell is not None:
        return next((one for one in mine if one.cell == cell), None)
    return max(mine, key=lambda one: one.mean, default=None)


def _sentence(results: Results, group: Group, one: Comparison, tested: int) -> str:
    """Return whether one cell beats the baseline; says so plainly where it does not."""
    is_q_star = roles.q_star(results, [one.cell]) is not None
    of_q_star = roles.q_star(results, [group.baseline]) is not None
    who = f"q* ({one.cell})" if is_q_star and not of_q_star else f"{one.cell}, the best of the others,"
    baseline = f"the baseline {one.than}" + (" (q* itself)" if of_q_star and not is_q_star else "")
    where = f"With {group.name}: " if group.name else ""
    side = "above" if one.mean > 0 else "below"
    at = "" if one.interval is None else f"95% interval {one.interval.low:+.3f} to {one.interval.high:+.3f}, "
    corrected = "no test with one seed" if one.holm is None else f"p = {p_text(one.holm)} after Holm over {tested}"
    corrected = corrected.replace("= <", "< ")
    numbers = f"{number(abs(one.mean))} {side} {baseline} ({at}{corrected}, {one.seeds} seed{'s' * (one.seeds != 1)})"
    name = "q*" if who.startswith("q*") else one.cell
    if one.is_significant:
        ends = f"{name} wins" if one.mean > 0 else f"{name} does not win, it loses"
    else:
        ends = f"{name} does not win: the difference may be chance"
    return f"{where}{who} ends {numbers}: {ends}."


def _how_sure(results: Results, found: Sequence[Comparison]) -> str:
    if not found:
        return "Nothing is compared, so nothing is sure."
    told, asked_for = len({one.test for one in found if one.is_significant}), tests(found)
    counted = f"Of {asked_for} differences {told} {'is' if told == 1 else 'are'} significant after Holm's correction"
    counted = f"The only difference is {'' if told else 'not '}significant" if asked_for == 1 else counted
    asked = [one for _, one in _pairs(results, found)] or list(found)
    spreads = [float(one.differences.std(ddof=1)) for one in asked if one.seeds > 1]
    seeds = min(one.seeds for one in asked)
    surely, alone = smallest_effect(seeds, asked_for), smallest_effect(seeds, 1)
    if surely is None or alone is None:
        return "How sure this is cannot be said: one seed does not tell how seeds differ."
    spread = float(np.median(spreads))
    of = f"{asked[0].cell} − {asked[0].than}" if len(asked) == 1 else f"the median of {len(asked)} such differences"
    beyond = f", and one above {number(surely * spread)} surely can" if asked_for > 1 else ""
    return (
        f"{counted}; with {seeds} seeds, over which {of} varies by {number(spread)} (s.d.), one below "
        f"{number(alone * spread)} cannot be told from chance{beyond}."
    )
