"""Answers of two cells to the same prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qstar_pl.experiments.report.contents import Answer
from qstar_pl.experiments.report.groups import pairs
from qstar_pl.experiments.report.reading import Results

Prompt = int | str
"""What a prompt is told by: its key, or its number where a folder has no keys."""
SOME = 4
"""Runs that are named where there are many."""


def by_prompt(*several: Sequence[Answer]) -> list[Mapping[Prompt, Answer]]:
    """Return answers by their prompts, in one order for all that are to the same ones.

    Keys tell prompts apart wherever they stand among the others; where some answers have none, all go by number.
    """
    keyed = all(one.key is not None for answers in several for one in answers)
    found = [{one.prompt if one.key is None or not keyed else one.key: one for one in answers} for answers in several]
    return [dict(sorted(of_cell.items(), key=lambda item: str(item[0]))) for of_cell in found]


def paired(results: Results, cell: str, other: str, seed: int) -> list[tuple[Prompt, Answer, Answer]] | None:
    """Return the last answers of two runs, prompt by prompt.

    Args:
        results: of the experiment.
        cell: whose answers come first.
        other: whose answers are held against them.
        seed: of both.

    Returns:
        None where a run has not ended, or the two did not hold the same prompts out; nothing where answers were not
        recorded.

    """
    run, twin = results.run(cell, seed), results.run(other, seed)
    if run is None or twin is None or not (run.is_finished and twin.is_finished) or run.held_out != twin.held_out:
        return None
    mine, its = results.answers(cell, seed), results.answers(other, seed)
    if not mine or not its:
        return []
    one, two = by_prompt(mine, its)
    return [(prompt, one[prompt], two[prompt]) for prompt in one] if one.keys() == two.keys() else None


def unlike(results: Results) -> tuple[str, ...]:
    """Return a sentence that names the runs which held other prompts out than those that they are held against."""
    ended = {(run.cell, run.seed) for run in results.runs if run.is_finished}
    found = [
        f"{cell} and {other}, seed {seed}"
        for cell, other in pairs(results)
        for seed in results.seeds
        if {(cell, seed), (other, seed)} <= ended and paired(results, cell, other, seed) is None
    ]
    if not found:
        return ()
    more = f"; and {len(found) - SOME} more" if len(found) > SOME else ""
    named = "; ".join(found[:SOME])
    return (f"Left out where answers are compared, since other prompts were held out: {named}{more}.",)
