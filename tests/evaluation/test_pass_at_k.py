from fractions import Fraction
from itertools import combinations
from math import comb

import pytest

from qstar_pl.errors import UserError
from qstar_pl.evaluation.pass_at_k import mean_pass_at_k, pass_at_k


def test_equals_the_closed_form_for_all_counts_up_to_50():
    worst, compared = 0.0, 0
    for n in range(1, 51):
        for c in range(n + 1):
            for k in range(1, n + 1):
                exact = 1 - Fraction(comb(n - c, k), comb(n, k))
                worst = max(worst, abs(pass_at_k(n, c, k) - float(exact)))
                compared += 1
    assert compared == sum(n * (n + 1) for n in range(1, 51))
    assert worst < 1e-13


@pytest.mark.parametrize(
    ("n", "c", "k", "value"),
    [(1, 0, 1, 0.0), (1, 1, 1, 1.0), (2, 1, 1, 0.5), (2, 1, 2, 1.0), (4, 2, 2, 5 / 6), (10, 3, 1, 0.3), (5, 1, 3, 0.6)],
)
def test_counts_by_hand(n, c, k, value):
    assert pass_at_k(n, c, k) == pytest.approx(value, abs=1e-12)


def test_is_the_share_of_subsets_that_hold_a_passing_program():
    passed = [True, False, False, True, False, False, False]
    for k in range(1, 8):
        subsets = list(combinations(passed, k))
        assert pass_at_k(7, 2, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_large_counts_do_not_overflow():
    assert pass_at_k(100_000, 1, 100) == pytest.approx(1e-3)
    assert pass_at_k(100_000, 0, 100) == 0.0


@pytest.mark.parametrize(
    ("n", "c", "k", "message"),
    [
        (0, 0, 1, "samples must be at least 1"),
        (5, 6, 1, "passed must lie in"),
        (5, -1, 1, "passed"),
        (5, 1, 6, r"k must lie in \[1, 5\] for 5 samples, got 6"),
        (5, 1, 0, "k"),
    ],
)
def test_arguments_outside_their_range(n, c, k, message):
    with pytest.raises(UserError, match=message):
        pass_at_k(n, c, k)


def test_mean_over_problems():
    assert mean_pass_at_k([(2, 1), (4, 0), (1, 1)], 1) == pytest.approx(0.5)
    with pytest.raises(UserError, match="k must"):
        mean_pass_at_k([(2, 1), (1, 1)], 2)
    with pytest.raises(UserError, match="at least one problem"):
        mean_pass_at_k([], 1)
