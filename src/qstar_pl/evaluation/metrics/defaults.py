"""What is measured unless a run asks for other metrics."""

from __future__ import annotations

from qstar_pl.evaluation.metrics.divergence import KLPolicyReference
from qstar_pl.evaluation.metrics.lengths import CompletionLength, EndedFraction
from qstar_pl.evaluation.metrics.metric import Metric
from qstar_pl.evaluation.metrics.pair_means import PairMeans
from qstar_pl.evaluation.metrics.perplexity import Perplexity
from qstar_pl.evaluation.metrics.preference_accuracy import PreferenceAccuracy
from qstar_pl.evaluation.metrics.rewards import RewardGold, RewardProxy

POLICY_METRICS: list[Metric] = [
    RewardProxy(),
    RewardGold(),
    KLPolicyReference(),
    CompletionLength(),
    EndedFraction(),
    PreferenceAccuracy(),
    Perplexity(),
]
"""Of a policy; each is silent about what the data does not have."""
PAIR_METRICS: list[Metric] = [*POLICY_METRICS, PairMeans()]
"""Of a policy that learns from pairs."""
COMPARISON_METRICS: list[Metric] = [PreferenceAccuracy(), PairMeans()]
"""Of a model that only ranks answers."""
