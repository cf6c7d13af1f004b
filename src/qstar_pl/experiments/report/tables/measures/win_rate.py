"""How often a cell's answer is better than the baseline's to the same prompt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qstar_pl.experiments.report.reading import Answer, Floats, Results
from qstar_pl.experiments.report.tables.measures.measure import Measure, PerSeed

GOLD, PROXY = "reward_gold", "reward_proxy"


@dataclass(frozen=True)
class WinRate(Measure):
    """Share of held-out prompts on which the last answer's reward is the higher one; a tie counts one half."""

    heading, better = "win rate", "higher"
    explained = (
        "share of held-out prompts on which the last answer's gold reward (the proxy's where there is no gold one) "
        "beats that of the baseline's answer at the same seed, ties one half"
    )

    def per_seed(self, results: Results, cell: str, baseline: str) -> PerSeed:
        """See `Measure.per_seed`; none for the baseline itself."""
        if cell == baseline:
            return {}
        rows = reward_differences(results, cell, baseline)
        return {seed: float((np.sign(row) + 1).mean() / 2) for seed, row in rows.items()}


def reward_differences(results: Results, cell: str, other: str, kind: str | None = None) -> dict[int, Floats]:
    """Return, for each seed of both cells, the rewards of a cell's last answers minus those of another's.

    Args:
        results: of the experiment.
        cell: whose answers.
        other: whose answers to the same prompts are held against them.
        kind: "reward_gold" or "reward_proxy"; None for gold where all answers have it, else proxy.

    Returns:
        Seed → [prompts], over the prompts that both have answered; a seed whose runs held other prompts out is left
        out, and so is one without rewards of that kind.

    """
    found = {}
    for run in results.finished(cell):
        twin = results.run(other, run.seed)
        if twin is None or not twin.is_finished or twin.held_out != run.held_out:
            continue
        mine, its = results.answers(cell, run.seed), results.answers(other, run.seed)
        chosen = kind or (GOLD if all(one.reward_gold is not None for one in (*mine, *its)) else PROXY)
        one, two = _rewards(mine, chosen), _rewards(its, chosen)
        common = [prompt for prompt in one if prompt in two]
        if common:
            found[run.seed] = np.array([one[prompt] - two[prompt] for prompt in common])
    return found


def _rewards(answers: tuple[Answer, ...], kind: str) -> dict[int, float]:
    values = ((one.prompt, one.reward_gold if kind == GOLD else one.reward_proxy) for one in answers)
    return {prompt: value for prompt, value in values if value is not None}
