from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from results_folder import Q_STAR, results_folder

from qstar_pl.experiments.report.reading import Results, read_results
from qstar_pl.experiments.report.tables.measures.gradients import GradientVariance, NoiseScale, samples_per_micro_step

STEPS = np.arange(1, 5)
VARIANCE = np.array([1.0, 2.0, 4.0, 1.0])
SIGNAL = np.array([0.5, -0.25, 1.0, 0.25])


def logged(results: Results, key: str, values: np.ndarray, steps: np.ndarray = STEPS) -> Results:
    columns = {"step": steps, "samples": 32.0 * steps, "value": values}
    return replace(results, curves={**results.curves, ("q_star", 0, key): columns})


@pytest.fixture
def results(tmp_path: Path) -> Results:
    made = read_results(results_folder(tmp_path, {"q_star": replace(Q_STAR, constant={})}, [0]))
    snr = SIGNAL / VARIANCE
    made = logged(logged(made, "grad/variance", VARIANCE), "grad/snr", snr)
    return logged(made, "grad/noise_scale", 16 / snr[snr > 0], STEPS[snr > 0])


def test_noise_and_signal_are_averaged_before_their_ratio(results: Results) -> None:
    assert samples_per_micro_step(results, "q_star") == 16
    assert GradientVariance().per_seed(results, "q_star", "") == {0: 2.0}
    assert NoiseScale().per_seed(results, "q_star", "")[0] == pytest.approx(16 * VARIANCE.mean() / SIGNAL.mean())


def test_a_run_whose_noise_hides_the_signal_has_no_scale(results: Results) -> None:
    hidden = logged(results, "grad/snr", -SIGNAL / VARIANCE)
    assert NoiseScale().text(hidden, "q_star", "") == "–"


def test_seeds_without_a_signal_are_counted(tmp_path: Path) -> None:
    folder = results_folder(tmp_path / "two", {"q_star": Q_STAR}, [0, 1])
    made = read_results(folder)
    assert NoiseScale().text(made, "q_star", "") == "90 ± 0"
    hidden = {key: value for key, value in made.curves.items() if key != ("q_star", 1, "grad/noise_scale")}
    assert NoiseScale().text(replace(made, curves=hidden), "q_star", "").endswith(" (no signal in 1 of 2)")
