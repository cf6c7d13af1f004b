"""Win rates against AlpacaEval's leaderboard."""

import csv
from pathlib import Path

import numpy as np
import pytest

from qstar_pl.errors import UserError
from qstar_pl.evaluation.win_rates.annotations import read_alpaca_annotations
from qstar_pl.evaluation.win_rates.head_to_head import head_to_head


def test_the_published_numbers_of_alpaca_7b(real_data: Path) -> None:
    folder = real_data / "alpaca_eval"
    with (folder / "alpaca_eval_gpt4_leaderboard.csv").open() as file:
        published = next(row for row in csv.DictReader(file) if row[""] == "alpaca-7b")
    rows = read_alpaca_annotations(folder / "alpaca-7b.alpaca_eval_gpt4.annotations.json.gz")
    ours = head_to_head([one.preference for one in rows], [one.prompt for one in rows])
    assert ours.win_rate.value is not None
    assert ours.win_rate.error is not None
    assert ours.discrete_win_rate.value is not None
    assert 100 * ours.win_rate.value == pytest.approx(float(published["win_rate"]), rel=1e-12)
    assert 100 * ours.win_rate.error == pytest.approx(float(published["standard_error"]), rel=1e-10)
    assert 100 * ours.discrete_win_rate.value == pytest.approx(float(published["discrete_win_rate"]), rel=1e-12)
    counted = {"n_wins": ours.wins, "n_wins_base": ours.losses, "n_draws": ours.draws, "n_total": ours.win_rate.rows}
    assert counted == {name: int(published[name]) for name in counted}
    assert int(np.mean([one.length for one in rows])) == int(published["avg_length"])


def test_probabilities_draws_and_what_is_missing() -> None:
    ours = head_to_head([1.0, 0.75, 0.5, 0.2, None, np.nan])
    assert ours.win_rate.value == pytest.approx(2.45 / 4)
    assert ours.discrete_win_rate.value == 0.625
    assert (ours.wins, ours.draws, ours.losses, ours.missing) == (2, 1, 1, 2)


def test_sure_preferences_of_a_probability_narrow_the_interval() -> None:
    generator = np.random.default_rng(0)
    interval = head_to_head(np.clip(generator.normal(0.5, 0.1, size=400), 0, 1)).win_rate.interval
    assert interval is not None
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * 0.1 / 20, rel=0.1)


def test_edges() -> None:
    nothing = head_to_head([None, None])
    assert (nothing.win_rate.value, nothing.missing) == (None, 2)
    always = head_to_head([1.0] * 10).win_rate.interval
    assert always is not None
    assert always.low < 0.8
    assert always.high == 1.0
    with pytest.raises(UserError, match=r"values must lie in \[0, 1\], got 2.0"):
        head_to_head([2.0, 1.0])
