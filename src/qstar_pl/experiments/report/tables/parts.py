"""What became of each part of the held-out data, those that were never trained on among them."""

from __future__ import annotations

from qstar_pl.experiments.report.groups import groups
from qstar_pl.experiments.report.reading import Results
from qstar_pl.experiments.report.tables.comparison import Comparison, compare, corrected_over, with_holm
from qstar_pl.experiments.report.tables.main import numbers_of, power_note
from qstar_pl.experiments.report.tables.measures.measure import NOTHING
from qstar_pl.experiments.report.tables.measures.score import ScoreAfter, ScoreBefore
from qstar_pl.experiments.report.tables.table import Table


def part_table(results: Results) -> Table:
    """Return the score of each part, before and after, and how cells differ in it; without rows if there are no parts.

    After the cells of a part, each against its baseline, come the pairs that the experiment names. Holm's correction is
    over all differences of the table.
    """
    to_baseline = [(cell, group.baseline) for group in groups(results) for cell in group.cells]
    pairs = dict.fromkeys((*to_baseline, *results.comparisons))
    keys = [key for key in map(results.score_of, results.parts) if any(key in run.after for run in results.runs)]
    found = [compare(results, cell, than, key) for key in keys for cell, than in pairs if cell != than]
    compared = {(one.score, one.cell, one.than): one for one in with_holm([one for one in found if one is not None])}
    rows = tuple(
        (
            part,
            cell,
            *(one(results.score_of(part)).text(results, cell, than) for one in (ScoreBefore, ScoreAfter)),
            *_difference(compared.get((results.score_of(part), cell, than)), than),
        )
        for part in results.parts
        if results.score_of(part) in keys
        for cell, than in pairs
    )
    heads = ("part", "cell", "before", "after", "minus", "difference", "95% over seeds", "95% seeds × prompts")
    notes = (
        f"{results.score_of(None)} of the held-out prompts of each part: mean ± s.d. over seeds before the first step "
        "and at the end, and differences at the end, paired by seed; intervals and p as above. "
        + corrected_over(tuple(compared.values())),
        *power_note(tuple(compared.values())),
    )
    return Table("Part by part", (*heads, "p", "p (Holm)", "g", "better"), rows if keys else (), 2, notes)


def _difference(one: Comparison | None, than: str) -> tuple[str, ...]:
    return (NOTHING,) * 8 if one is None else (than, *numbers_of(one))
