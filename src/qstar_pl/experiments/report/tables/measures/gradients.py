"""How noisy gradients are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qstar_pl.experiments.report.reading import Results
from qstar_pl.experiments.report.tables.measures.measure import NOTHING, Measure, PerSeed, mean_logged

VARIANCE, SNR, SCALE = "grad/variance", "grad/snr", "grad/noise_scale"


@dataclass(frozen=True)
class GradientVariance(Measure):
    """Of the gradient of one micro-step."""

    heading, better = "gradient variance", "lower"
    explained = (
        "mean of `grad/variance` over the log windows: tr Cov of one micro-step's gradient, before clipping; it goes "
        "with the square of the loss's scale (PPO averages over tokens, others sum over an answer's), the noise scale "
        "does not; of PPO it holds the critic's gradient too"
    )

    def per_seed(self, results: Results, cell: str, baseline: str) -> PerSeed:
        """See `Measure.per_seed`."""
        found = {run.seed: mean_logged(results, cell, run.seed, VARIANCE) for run in results.finished(cell)}
        return {seed: value for seed, value in found.items() if np.isfinite(value)}


@dataclass(frozen=True)
class NoiseScale(Measure):
    """The batch size at which noise and signal of the gradient are equal."""

    heading, unit, digits, better = "noise scale", "samples", 0, "lower"
    explained = (
        "B·tr Cov/‖G‖², both averaged over the run first: the number of samples at which the gradient's noise equals "
        "its signal; a variance alone would praise small gradients"
    )

    def per_seed(self, results: Results, cell: str, baseline: str) -> PerSeed:
        """See `Measure.per_seed`; a run whose mean ‖G‖² is not positive, for noise, has none."""
        found = {run.seed: _noise_scale(results, cell, run.seed) for run in results.finished(cell)}
        return {seed: value for seed, value in found.items() if np.isfinite(value)}

    def text(self, results: Results, cell: str, baseline: str) -> str:
        """See `Measure.text`; with how many seeds have none, without which a mean would flatter."""
        said = super().text(results, cell, baseline)
        measured = len(GradientVariance().per_seed(results, cell, baseline))
        hidden = measured - len(self.per_seed(results, cell, baseline))
        return f"{said} (no signal in {hidden} of {measured})" if hidden > 0 and said != NOTHING else said


def samples_per_micro_step(results: Results, cell: str) -> float | None:
    """Return the samples whose gradient the variance is of: `grad/noise_scale` is their number over `grad/snr`."""
    for run in results.finished(cell):
        scale, snr = (results.series(cell, run.seed, key, "step") for key in (SCALE, SNR))
        common = np.intersect1d(scale.x, snr.x)
        if len(common):
            return float(np.round(np.median(scale.y[np.isin(scale.x, common)] * snr.y[np.isin(snr.x, common)])))
    return None


def _noise_scale(results: Results, cell: str, seed: int) -> float:
    variance, snr = (results.series(cell, seed, key, "step") for key in (VARIANCE, SNR))
    samples = samples_per_micro_step(results, cell)
    common = np.intersect1d(variance.x, snr.x)
    if samples is None or not len(common):
        return mean_logged(results, cell, seed, SCALE, geometric=True)
    noise, ratio = variance.y[np.isin(variance.x, common)], snr.y[np.isin(snr.x, common)]
    # Of windows one by one, those in which the noise hides the signal have no scale: leaving them out would flatter.
    signal = float(np.nanmean(noise * ratio))
    return samples * float(np.nanmean(noise)) / signal if signal > 0 else float("nan")
