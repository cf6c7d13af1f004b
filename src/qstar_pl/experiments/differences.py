"""Whether one configuration came out better than another: both after training, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qstar_pl.evaluation.statistics import Estimate, holm, mean_interval, paired_t_test
from qstar_pl.experiments.comparison import NAMES, Results, judged_by

UNBOUNDED = (-np.inf, np.inf)


@dataclass(frozen=True)
class Difference:
    """A metric of a configuration minus that of another, over the seeds that both have run."""

    experiment: str
    than: str
    key: str
    estimate: Estimate
    """Of the mean over seeds, which share the data and its order."""
    p_value: float | None
    """Of the paired t-test over seeds, after Holm's correction for all differences that are shown."""

    def cells(self) -> list[str]:
        """Return metric, difference, 95% interval and p-value, "–" for what is unknown."""
        interval = self.estimate.interval
        return [
            NAMES.get(self.key, self.key.removeprefix("val/")),
            f"{self.estimate.value:+.3f}",
            "–" if interval is None else f"{interval.low:+.3f} to {interval.high:+.3f}",
            "–" if self.p_value is None else "<0.001" if self.p_value < 0.001 else f"{self.p_value:.3f}",
        ]


def differences(results: Results) -> list[Difference]:
    """Return how each configuration differs from the first, where at least two seeds have run with both."""
    ran = {name: seeds for name, seeds in results.items() if seeds}
    if len(ran) < 2:
        return []
    first, *others = ran
    found = []
    for name in others:
        common = judged_by(ran[first])
        for key in (key for key in judged_by(ran[name]) if key in common):
            one, other = ({seed.seed: seed.after[key] for seed in ran[which]} for which in (name, first))
            gains = np.array([one[seed] - other[seed] for seed in one if seed in other])
            gains = gains[np.isfinite(gains)]  # a run that diverged has no difference
            if len(gains) > 1:
                estimate = mean_interval(gains, bounds=UNBOUNDED)
                found.append(Difference(name, first, key, estimate, paired_t_test(gains)))
    corrected = holm({place: one.p_value for place, one in enumerate(found) if one.p_value is not None})
    return [replace(one, p_value=corrected.get(place)) for place, one in enumerate(found)]


def differences_as_markdown(found: Sequence[Difference]) -> str:
    """Return a table with a line per difference; "" without one."""
    if not found:
        return ""
    head = ["experiment", "metric", f"minus {found[0].than}", "95% interval", "p (Holm)"]
    rows = [[one.experiment, *one.cells()] for one in found]
    lines = [head, ["---"] * 2 + ["---:"] * (len(head) - 2), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in lines)
