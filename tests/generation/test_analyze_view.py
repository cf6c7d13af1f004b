"""What an axis shows, and what it only counts."""

import numpy as np
import pytest

from qstar_pl.generation.analyze_view import View, share


def test_few_values_are_all_seen_and_rare_far_ones_counted() -> None:
    few = np.array([0.5, 17.0])
    assert View.of([few], shown=(0.9, 1.1), log=True).holds(few).all()
    values = np.exp(np.random.default_rng(0).normal(0, 0.1, 2000))
    odd = np.array([1e9, 1e-9, np.inf, np.nan, 0.0, -1.0])
    view = View.of([values, odd], shown=(0.9, 1.1), log=True)
    assert view.holds(values).all()
    assert 0.3 < view.low < view.high < 3.0
    assert view.missed(np.concatenate([values, odd])) == (
        "1 undefined, 1 infinite, 2 at 0 or below, 1 further left or below, 1 further right or above"
    )
    assert view.missed(values) == ""


def test_equal_values_no_values_and_what_is_always_in_view() -> None:
    assert View.of([np.full(9, 0.5)], shown=(0.2, 0.8)) == View(0.2, 0.8)
    assert View.of([np.array([np.nan])], shown=(0.2, 0.8)) == View(0.2, 0.8)
    view = View.of([np.array([0.5, 1.0])], shown=(0.2, 0.8))
    assert view.low == 0.2
    assert view.high == pytest.approx(1.0 + 0.02 * (1.0 - 0.2))
    assert "below" not in view.missed(np.array([-1.0, 0.0])).partition("further")[0], "0 has a place on a linear axis"


def test_bins_look_equally_wide() -> None:
    assert View(1.0, 3.0).bins(2).tolist() == [1.0, 2.0, 3.0]
    assert View(0.25, 4.0, log=True).bins(2) == pytest.approx([0.25, 1.0, 4.0])


def test_shares_are_0_and_100_only_if_they_are() -> None:
    assert [share(np.arange(10_000) < count) for count in (0, 1, 5000, 9999, 10_000)] == [
        "0%", "0.1%", "50.0%", "99.9%", "100%",
    ]  # fmt: skip
    assert share(np.array([], dtype=bool)) == "none"
