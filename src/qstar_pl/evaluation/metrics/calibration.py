"""Whether the reward that is maximized orders answers as the gold reward does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from qstar_pl.checks import at_least
from qstar_pl.evaluation.metrics.drawing import Drawing
from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import AnswerMetric, Numbers
from qstar_pl.evaluation.metrics.needs import Need
from qstar_pl.evaluation.metrics.scores import Scores
from qstar_pl.evaluation.metrics.sums import means, totals

_PAIRS = "calibration"


def rank_correlations(first: Tensor, second: Tensor) -> tuple[float, float] | None:
    """Return Spearman's ρ and Kendall's τ-b of two lists [rows], by scipy; None where one does not vary."""
    if len(first) < 2 or bool((first == first[0]).all()) or bool((second == second[0]).all()):
        return None
    from scipy.stats import kendalltau, spearmanr  # here, since `fit` seldom needs it

    a, b = first.cpu().numpy(), second.cpu().numpy()
    return float(spearmanr(a, b).statistic), float(kendalltau(a, b).statistic)


@dataclass(frozen=True)
class ProxyCalibration(AnswerMetric):
    """`calibration_spearman`, `calibration_kendall`: rank correlation of `reward` and `gold` over all answers; with
    several answers to a prompt also `calibration_spearman_within` and `calibration_kendall_within`, the mean over
    prompts of the correlation among a prompt's answers, which is what a policy can gain from.

    Where all answers to a prompt have one reward there is no order to compare, and the prompt does not count.
    """

    bounds = (-1.0, 1.0)

    samples: int = 1
    """Answers that are drawn for each prompt; of a file, all that it has count."""
    expensive: bool = False
    """Leave it out of the validations within `fit`."""
    all_rows = True

    def __post_init__(self) -> None:
        at_least(1, samples=self.samples)

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`."""
        return frozenset({Need.REWARD, Need.GOLD})

    @property
    def drawing(self) -> Drawing:
        """See `AnswerMetric.drawing`."""
        return Drawing(samples=self.samples)

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`; of an answer both rewards, of a prompt both correlations."""
        if not {"proxy", "gold"} <= set(answers.rewards):
            return {}
        pairs = torch.stack([answers.rewards["proxy"], answers.rewards["gold"]], -1)
        both = Scores.all(pairs).without_nan(_PAIRS)
        within = [rank_correlations(*pairs[rows][both.mask[rows]].unbind(-1)) for rows in answers.of_prompts]
        return {
            _PAIRS: both,
            f"{_PAIRS}_spearman_within": Scores.of([found and found[0] for found in within], "prompt"),
            f"{_PAIRS}_kendall_within": Scores.of([found and found[1] for found in within], "prompt"),
        }

    def compute_rows(self, rows: Mapping[str, Scores]) -> Numbers:
        """See `Metric.compute_rows`."""
        within = means(totals({name: one for name, one in rows.items() if name != _PAIRS}))
        found = rank_correlations(*rows[_PAIRS].counted.unbind(-1)) if _PAIRS in rows else None
        over_all = {} if found is None else {f"{_PAIRS}_spearman": found[0], f"{_PAIRS}_kendall": found[1]}
        return over_all | within
