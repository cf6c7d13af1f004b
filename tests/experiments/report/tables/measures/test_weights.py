"""The ratio of both ESS, over the log windows of a run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from results_folder import PPO, Q_STAR, results_folder

from qstar_pl.experiments.report.reading import read_results
from qstar_pl.experiments.report.tables.measures.weights import KEY, ESSRatio


def test_half_and_twice_as_much_are_even_on_the_mean(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path, {"ppo": PPO, "q": Q_STAR}))
    curves = {
        key: {**columns, "value": np.resize([0.5, 2.0], len(columns["value"]))} if key[2] == KEY else columns
        for key, columns in results.curves.items()
    }
    found = ESSRatio().per_seed(replace(results, curves=curves), "q", "ppo")
    assert found == {seed: pytest.approx(1.0) for seed in (0, 1, 2)}
