"""Evidence that rests on answers to the same prompts."""

from pathlib import Path

import numpy as np
import pytest
from results_folder import PPO, Q_STAR, results_folder

from qstar_pl.experiments.report.reading import read_results
from qstar_pl.experiments.report.verdicts import paired


def test_a_tie_is_half_a_win_in_the_interval_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many wins as losses, and more ties than either."""
    results = read_results(results_folder(tmp_path, {"ppo": PPO, "q": Q_STAR}))
    rolled = {seed: np.roll([1.0] * 3 + [-1.0] * 3 + [0.0] * 6, seed) for seed in (0, 1, 2)}
    rows = {seed: dict(enumerate(row.tolist())) for seed, row in rolled.items()}
    monkeypatch.setattr(paired, "reward_differences", lambda *_, **__: rows)
    interval = paired.of_win_rate(results, "q", "ppo", "on-policy").interval
    assert interval is not None
    assert (interval.low + interval.high) / 2 == pytest.approx(0.5)
