"""How often a cell's answer is better than the baseline's to the same prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from qstar_pl.experiments.report.reading import Answer, Results
from qstar_pl.experiments.report.tables.measures.measure import Measure, PerSeed
from qstar_pl.experiments.report.tables.measures.prompts import Prompt, paired

GOLD, PROXY = "reward_gold", "reward_proxy"


@dataclass(frozen=True)
class WinRate(Measure):
    """Share of held-out prompts on which the last answer's reward is the higher one; a tie counts one half.

    Where the score is that of one part of the held-out data, the prompts are that part's.
    """

    heading, better = "win rate", "higher"
    explained = (
        "share of held-out prompts on which the last answer's gold reward (the proxy's where there is no gold one) "
        "beats that of the baseline's answer at the same seed, ties one half"
    )

    def per_seed(self, results: Results, cell: str, baseline: str) -> PerSeed:
        """See `Measure.per_seed`; none for the baseline itself."""
        if cell == baseline:
            return {}
        rows = reward_differences(results, cell, baseline, part=results.scored_part)
        return {seed: float((np.sign(list(row.values())) + 1).mean() / 2) for seed, row in rows.items()}


def reward_differences(
    results: Results, cell: str, other: str, kind: str | None = None, part: str | None = None
) -> dict[int, Mapping[Prompt, float]]:
    """Return, for each seed of both cells, the rewards of a cell's last answers minus those of another's.

    Args:
        results: of the experiment.
        cell: whose answers.
        other: whose answers to the same prompts are held against them.
        kind: "reward_gold" or "reward_proxy"; None for gold where all answers have it, else proxy.
        part: of the held-out data, whose prompts alone count; None: all.

    Returns:
        Seed → prompt → difference; a seed whose runs held other prompts out is left out (see `unlike`), and so are
        prompts without rewards of that kind.

    """
    found = dict[int, Mapping[Prompt, float]]()
    for run in results.finished(cell):
        both = [one for one in paired(results, cell, other, run.seed) or () if part is None or one[1].part == part]
        chosen = kind or (GOLD if all(one.reward_gold is not None for _, *two in both for one in two) else PROXY)
        rewards = ((prompt, _reward(one, chosen), _reward(two, chosen)) for prompt, one, two in both)
        known = {prompt: one - two for prompt, one, two in rewards if one is not None and two is not None}
        if known:
            found[run.seed] = known
    return found


def _reward(answer: Answer, kind: str) -> float | None:
    return answer.reward_gold if kind == GOLD else answer.reward_proxy
