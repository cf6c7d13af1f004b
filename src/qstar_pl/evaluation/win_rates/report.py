"""What files of annotations say: win rates of each pair of models, and ratings of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from qstar_pl.evaluation.statistics import Estimate
from qstar_pl.evaluation.statistics.rows import Floats
from qstar_pl.evaluation.win_rates.annotations import Annotation, by_pair
from qstar_pl.evaluation.win_rates.difficulty import instruction_difficulties
from qstar_pl.evaluation.win_rates.head_to_head import HeadToHead, head_to_head
from qstar_pl.evaluation.win_rates.length_control import GamedBaseline, length_controlled

SEVERAL = 3
"""As many models on the same prompts tell how difficult these are."""


@dataclass(frozen=True)
class PairReport:
    """A model against a baseline, over all prompts on which they were compared."""

    model: str
    baseline: str
    rates: HeadToHead
    length_controlled: Estimate
    controls: str
    """What the length-controlled rate was formed with, in words."""
    length: float
    """Mean length of the model's answers, in characters."""
    baseline_length: float


def pair_reports(
    annotations: Sequence[Annotation], *, gamed: GamedBaseline | None = None, confidence: float = 0.95
) -> list[PairReport]:
    """Return the report of each pair of models, in the order of the rows.

    The length-controlled rate is AlpacaEval's own with its `gamed` baseline. Without, the difficulty of prompts is
    estimated where `SEVERAL` models have answered the same prompts against the same baseline, and left out elsewhere.

    Raises:
        UserError: if a prompt is there twice for a pair, or the gamed baseline does not know all prompts.

    """
    pairs = by_pair(annotations)
    difficulties = {} if gamed else _difficulties(pairs)
    reports = []
    for (model, baseline), rows in pairs.items():
        preferences = [one.preference for one in rows]
        prompts = [one.prompt for one in rows]
        known = difficulties.get(baseline, {})
        useful = known if all(prompt in known for prompt in prompts) else {}
        controlled = length_controlled(
            preferences,
            [one.length for one in rows],
            [one.baseline_length for one in rows],
            groups=prompts,
            difficulties=[useful[prompt] for prompt in prompts] if useful else None,
            gamed=gamed,
            confidence=confidence,
        )
        controls = "length, difficulty, gamed baselines" if gamed else "length, difficulty" if useful else "length"
        reports.append(
            PairReport(
                model,
                baseline,
                head_to_head(preferences, prompts, confidence=confidence),
                controlled,
                controls,
                fmean(one.length for one in rows),
                fmean(one.baseline_length for one in rows),
            )
        )
    return reports


def _difficulties(pairs: Mapping[tuple[str, str], Sequence[Annotation]]) -> dict[str, dict[str, float]]:
    """Return baseline → prompt → difficulty, for the prompts that all models of the baseline have answered."""
    found = {}
    for baseline in {pair[1] for pair in pairs}:
        models = [_by_prompt(rows) for pair, rows in pairs.items() if pair[1] == baseline]
        common = [prompt for prompt in models[0] if all(prompt in rows for rows in models)]
        if len(models) < SEVERAL or len(common) < 2:
            continue
        preferences = _table(models, common, lambda one: np.nan if one.preference is None else one.preference)
        longer = _table(models, common, lambda one: one.baseline_length - one.length)
        found[baseline] = dict(zip(common, instruction_difficulties(preferences, longer).tolist(), strict=True))
    return found


def _table(
    models: Sequence[Mapping[str, Sequence[Annotation]]],
    prompts: Sequence[str],
    value: Callable[[Annotation], float],
) -> Floats:
    """Return [models, prompts]; of several answers to a prompt the mean of those that have a value."""

    def mean(rows: Sequence[Annotation]) -> float:
        values = [found for one in rows if not np.isnan(found := value(one))]
        return fmean(values) if values else np.nan

    return np.array([[mean(rows[prompt]) for prompt in prompts] for rows in models], dtype=np.float64)


def _by_prompt(rows: Sequence[Annotation]) -> dict[str, list[Annotation]]:
    found: dict[str, list[Annotation]] = {}
    for one in rows:
        found.setdefault(one.prompt, []).append(one)
    return found
