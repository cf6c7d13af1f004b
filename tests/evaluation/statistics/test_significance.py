"""Paired tests and Holm's correction: against SciPy, statsmodels and enumeration, and over null experiments."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import ttest_rel
from statsmodels.stats.multitest import multipletests

from qstar_pl.errors import UserError
from qstar_pl.evaluation.statistics import significance
from qstar_pl.evaluation.statistics.significance import holm, paired_t_test, sign_flip_test, swap_test

Floats = NDArray[np.float64]


def test_the_t_test_is_scipys() -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 40))
    assert paired_t_test(first - second) == pytest.approx(ttest_rel(first, second).pvalue)


def test_few_pairs_are_flipped_in_every_way() -> None:
    differences = np.array([0.3, -0.1, 0.8, 0.5, 0.0, 0.2, -0.4])
    sums = [abs(np.dot(signs, differences)) for signs in itertools.product((1, -1), repeat=len(differences))]
    expected = np.mean(np.array(sums) >= abs(differences.sum()) - 1e-12)
    assert sign_flip_test(differences) == pytest.approx(expected)
    assert sign_flip_test(differences, seed=1) == sign_flip_test(differences, seed=2)


def test_many_pairs_are_flipped_at_random_and_agree_with_the_t_test() -> None:
    differences = np.random.default_rng(1).normal(0.2, 1.0, size=150)
    flips, t_test = sign_flip_test(differences), paired_t_test(differences)
    assert t_test is not None
    assert flips == pytest.approx(t_test, abs=0.01)
    assert sign_flip_test(differences, seed=3) == sign_flip_test(differences, seed=3)


@pytest.mark.parametrize(
    ("differences", "t_test", "flips"),
    [([], None, None), ([0.4], None, 1.0), ([0.0, 0.0], 1.0, 1.0), ([0.1] * 6, None, 2 / 64)],
    ids=["none", "one", "zero", "alike"],
)
def test_edges(differences: list[float], t_test: float | None, flips: float | None) -> None:
    assert paired_t_test(differences) == t_test
    assert sign_flip_test(differences) == flips


def test_swapping_a_mean_flips_signs() -> None:
    first, second = np.random.default_rng(2).normal(size=(2, 60, 1))

    def mean(totals: Floats) -> float:
        return float(totals[0]) / 60

    flips = sign_flip_test((first - second)[:, 0])
    assert swap_test(first, second, mean, resamples=4999) == pytest.approx(flips, abs=0.03)
    assert swap_test(first + 3, second, mean) == pytest.approx(1 / 2000)
    assert swap_test(first, first, mean) == 1.0
    assert swap_test(first[:0], first[:0], mean) is None


def test_holm_is_that_of_statsmodels_and_keeps_names() -> None:
    p_values = {"dpo": 0.01, "ppo": 0.04, "sft": 0.03, ("q*", 2): 0.005}
    expected = multipletests(list(p_values.values()), method="holm")[1]
    assert list(holm(p_values).items()) == list(zip(p_values, expected, strict=True))
    assert holm({}) == {}
    with pytest.raises(UserError, match=r"the p-value of dpo must lie in \[0, 1\], got nan"):
        holm({"dpo": float("nan")})


def test_after_holm_false_findings_are_as_rare_as_promised_and_true_ones_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Studies of three comparisons, one of which is real."""
    monkeypatch.setattr("gc.collect", lambda: 0)  # which statsmodels calls each time
    generator = np.random.default_rng(5)
    studies, false, found = 1000, 0, 0
    for _ in range(studies):
        p_values = holm(
            {name: paired_t_test(generator.normal(mean, 1.0, 40)) for name, mean in (("real", 0.6), ("a", 0), ("b", 0))}
        )
        false += min(p_values["a"], p_values["b"]) < 0.05
        found += p_values["real"] < 0.05
    assert 0.02 <= false / studies <= 0.065
    assert found / studies > 0.8


def test_sign_flips_of_skewed_rewards_find_chance_as_rarely_as_promised() -> None:
    generator = np.random.default_rng(6)
    p_values = []
    for _ in range(500):
        pair = generator.exponential(size=(2, 9))
        p_values.append(sign_flip_test(pair[0] - pair[1]))
    assert 0.025 <= np.mean(np.array(p_values) < 0.05) <= 0.075  # three standard errors of 500 experiments


def test_many_prompts_are_swapped_a_part_of_the_resamples_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = np.random.default_rng(4).normal(size=(2, 60, 2))

    def ratio(totals: Floats) -> float:
        return float(totals[0] / (abs(totals[1]) + 1))

    at_once = swap_test(first, second, ratio)
    monkeypatch.setattr(significance, "_CELLS", 60 * 7)
    assert swap_test(first, second, ratio) == at_once
