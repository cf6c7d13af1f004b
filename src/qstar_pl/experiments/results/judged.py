"""What configurations that were given by hand are judged by, which no file says."""

from __future__ import annotations

from collections.abc import Sequence

from qstar_pl.experiments.matrix import Evaluation
from qstar_pl.experiments.results.outcome import Outcome

REWARDS = ("val/reward_gold", "val/reward_proxy")
ACCURACY = "val/preference_accuracy"
LOWER = ("val/perplexity", "val/kl_policy_reference", "val/completion_length", "val/ended_fraction")
"""Of which more is not better, so that they rank nothing."""


def judged_by(outcomes: Sequence[Outcome]) -> Evaluation:
    """Return what all finished runs measure: the gold reward before the proxy's before the accuracy before the rest.

    The proxy's is shown beside the gold one, since it can rise while that falls. Preference accuracy is shown where a
    run learns from comparisons.
    """
    ended = [one for one in outcomes if one.after]
    if not ended:
        return Evaluation()
    known = [key for key in sorted(ended[0].after) if all(key in one.after and key in one.before for one in ended)]
    compares = any("loss/accuracy" in row for one in ended for row in one.metrics.rows)
    first = [key for key in (*REWARDS, ACCURACY) if key in known]
    rest = [key for key in known if key not in (*first, *LOWER)]
    score = next(iter([*first, *rest, *known]), Evaluation().score)
    shown = [key for key in first if key != score and (key != ACCURACY or compares)]
    return Evaluation(score, (*shown, *(rest if not first else ())[1:]))
