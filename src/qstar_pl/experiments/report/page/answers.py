"""Answers of all cells to the same held-out prompts, chosen by a rule and not for what they show."""

from __future__ import annotations

from collections.abc import Sequence

from qstar_pl.experiments.report.contents import Answer as Recorded
from qstar_pl.experiments.report.page.contents import Answer, Prompt
from qstar_pl.experiments.report.reading import Results

PROMPTS = 4
"""So many are shown, the first of the held-out set."""
LETTERS = 600
"""Longest text that is shown whole."""


def side_by_side(results: Results) -> tuple[Sequence[Prompt], str, str]:
    """Return prompts with the answers of all cells, how they were chosen or why there are none, and the reward."""
    if results.recorded_answers is None:
        return (), "The runs did not record their answers.", ""
    seed, shown = chosen(results)
    if seed is None:
        return (), "No finished run recorded its answers.", ""
    answers = {cell: found for cell in results.cells if (found := _last(results, cell, seed))}
    before = {"before training": results.answers(next(iter(answers)), seed, first=True)}
    is_gold = any(one.reward_gold is not None for found in answers.values() for one in found)
    prompts = []
    for first in shown:
        rows = []
        for cell, found in (before | answers).items():
            same = next((one for one in found if one.is_to_prompt_of(first)), None)
            if same is not None and same.prompt_text == first.prompt_text:
                rows.append(_answer(cell, same, is_gold))
        prompts.append(Prompt(_shown(first.prompt_text), rows))
    without = [cell for cell in results.cells if cell not in answers]
    note = (
        f"The first {len(prompts)} held-out prompts, at the last validation of seed {seed}, "
        "one answer each, drawn from π_θ: chosen by their place, not by what was answered."
    )
    note += f" Without answers of that seed: {', '.join(without)}." if without else ""
    return prompts, note, "gold reward" if is_gold else "proxy reward"


def chosen(results: Results) -> tuple[int | None, Sequence[Recorded]]:
    """Return the seed whose answers are shown, and one to each prompt; None where no finished run recorded any."""
    for seed in results.seeds:
        found = next((one for cell in results.cells if (one := _last(results, cell, seed))), None)
        if found is not None:
            return seed, found[:PROMPTS]
    return None, ()


def _last(results: Results, cell: str, seed: int) -> Sequence[Recorded]:
    run = results.run(cell, seed)
    return results.answers(cell, seed) if run is not None and run.is_finished else ()


def _answer(cell: str, one: Recorded, is_gold: bool) -> Answer:
    reward = one.reward_gold if is_gold else one.reward_proxy
    return Answer(cell, "–" if reward is None else f"{reward:.2f}", _shown(one.completion) or "(empty)")


def _shown(text: str) -> str:
    text = text.strip()
    return text if len(text) <= LETTERS else f"{text[:LETTERS]}…"
