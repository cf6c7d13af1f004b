"""Statistics of a generated dataset's diagnostics: distributions, and checks of what theory predicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qstar_pl.generation.analyze_reading import Column, Diagnostics

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Summary:
    """One number for a whole run."""

    value: float | None
    """None if the run has no such number."""
    how: str
    """How it was computed, in words."""
    note: str = ""
    """Why there is no value, or what the value leaves out."""


def ess_ratio(run: Diagnostics) -> Summary:
    """Return Σ ESS_θ / Σ ESS_t over all tokens of a run: the definition of training's `ess/ratio`.

    Both sizes lie in [0, 1], so no single token can dominate the ratio, as one can dominate a mean of ratios. If a file
    has ratios only (no ESS of either policy), it is the median over answers. If truncation left an answer without a
    token at which nothing was cut, its ratio is 0/0, and the run has none.
    """
    theta, t, tokens = (run.columns[name] for name in ("ess_theta_mean", "ess_t_mean", "tokens"))
    known = np.isfinite(theta) & np.isfinite(t)
    if known.any():
        # Σ over tokens = mean × number of tokens; without token counts, every answer counts once.
        weights = np.where(np.isfinite(tokens), tokens, 1.0)[known]
        undefined = float(((theta[known] == 0) & (t[known] == 0)).mean())
        how = "Σ ESS_θ / Σ ESS_t over tokens" if np.isfinite(tokens).all() else "Σ ESS_θ / Σ ESS_t over answers"
        if undefined > 0:
            return Summary(
                None, how, f"undefined: 0/0 in {undefined:.1%} of answers, where q is truncated (top-k, top-p)"
            )
        cut = bool((run.columns["uncovered_mass_mean"] > 0).any())
        note = "q is truncated: only tokens that nothing was cut from count" if cut else ""
        total = float((weights * t[known]).sum())
        return Summary(float((weights * theta[known]).sum()) / total if total > 0 else None, how, note)
    ratios = run.columns["ess_ratio"]
    ratios = ratios[np.isfinite(ratios)]
    return Summary(float(np.median(ratios)) if len(ratios) else None, "median of the answers' ratios")


def mean_of(column: str) -> Callable[[Diagnostics], Summary]:
    """Return a function that takes the mean of a column over answers."""

    def mean(run: Diagnostics) -> Summary:
        values = run.columns[column]
        values = values[np.isfinite(values)]
        return Summary(float(values.mean()) if len(values) else None, "mean over answers")

    return mean


@dataclass(frozen=True)
class Check:
    """A claim about q* that a run's numbers meet or do not meet."""

    name: str
    column: str
    """Column of per-answer values, from which the share of passing answers is counted."""
    summary: Callable[[Diagnostics], Summary]
    """Gives the number by which the run is judged."""
    low: float
    high: float
    """Values in [low, high] pass, or in [low, high) if not `closed`."""
    closed: bool = True
    """Whether `high` itself passes."""

    def met_mask(self, values: Column) -> NDArray[np.bool_]:
        """Return which values pass, [rows] bool."""
        return (values >= self.low) & ((values <= self.high) if self.closed else (values < self.high))


CHECKS = (
    Check("ESS ratio (θ over t) in [0.9, 1.1]", "ess_ratio", ess_ratio, 0.9, 1.1),
    Check("|D(q‖π_θ) − D(q‖π_t)| < 0.05 nats", "kl_difference", mean_of("kl_difference"), 0.0, 0.05, closed=False),
    Check("α in [0.2, 0.8]", "alpha_mean", mean_of("alpha_mean"), 0.2, 0.8),
)
"""What KL symmetry should give: the second check holds by construction, the first to second order only."""


def statistics(values: Column) -> dict[str, float] | None:
    """Return mean, s.d. (n − 1), extremes and quantiles over the rows that have a value; None if none has."""
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return None
    quantiles = {f"q{round(100 * q):02d}": float(np.quantile(values, q)) for q in QUANTILES}
    deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return {
        "rows": len(values),
        "mean": float(values.mean()),
        "std": deviation,
        "min": float(values.min()),
        **quantiles,
        "max": float(values.max()),
    }


def check_results(run: Diagnostics) -> list[dict[str, Any]]:
    """Return, per check, the run's number, whether it passes, and the share of answers that pass on their own.

    For a run without π_t, or with an undefined number, `passed` is None and `note` says why.
    """
    results = []
    for check in CHECKS:
        summary = check.summary(run)
        values = run.columns[check.column]
        values = values[np.isfinite(values)]
        passed = None if summary.value is None else bool(check.met_mask(np.array([summary.value]))[0])
        note = summary.note or ("" if len(values) else "no π_t")
        share = float(check.met_mask(values).mean()) if len(values) else None
        results.append(
            {
                "check": check.name,
                "value": summary.value,
                "value_is": summary.how,
                "passed": passed,
                "share_of_rows": share,
                "note": note,
            }
        )
    return results


def analyze(runs: Sequence[Diagnostics]) -> dict[str, Any]:
    """Return statistics and checks of every run, as they are written to JSON."""
    return {
        "runs": {
            run.name: {
                "file": str(run.path),
                "rows": run.rows,
                "prompts_cut": run.prompts_cut,
                "ess_ratio": ess_ratio(run).value,
                "statistics": {name: statistics(column) for name, column in run.columns.items()},
                "checks": check_results(run),
            }
            for run in runs
        }
    }
