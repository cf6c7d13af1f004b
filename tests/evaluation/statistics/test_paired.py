"""Two systems on the same prompts."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from qstar_pl.errors import UserError
from qstar_pl.evaluation.statistics.paired import paired_difference


def test_prompts_are_matched_by_name_whatever_their_order_and_number_of_answers() -> None:
    generator = np.random.default_rng(0)
    means = generator.normal(size=(2, 25))
    first = means[0]
    order = generator.permutation(25)
    second = np.concatenate((means[1][order] - 0.5, means[1][order] + 0.5))  # two answers each, with that mean
    result = paired_difference(first, second, range(25), np.concatenate((order, order)))
    assert result.difference.value == pytest.approx(means[0].mean() - means[1].mean())
    assert result.t_test == pytest.approx(ttest_rel(means[0], means[1]).pvalue)
    interval = ttest_rel(means[0], means[1]).confidence_interval(0.95)
    assert result.difference.interval is not None
    assert (result.difference.interval.low, result.difference.interval.high) == pytest.approx(tuple(interval))
    differences = means[0] - means[1]
    assert result.cohen_d == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert result.better == np.mean(differences > 0)
    assert result.left_out == 0


def test_only_prompts_of_both_count() -> None:
    result = paired_difference([1, 5, 9, 2], [4, 4, 3], ["a", "b", "c", "d"], ["b", "x", "c"], mask=[1, 1, 1, 0])
    assert result.difference.value == pytest.approx(((5 - 4) + (9 - 3)) / 2)
    assert result.left_out == 2
    with pytest.raises(UserError, match="the systems must have prompts in common, got 1 and 1 of which none"):
        paired_difference([1], [1], ["a"], ["b"])


def test_the_same_answers_are_no_better() -> None:
    result = paired_difference([1, 2, 3], [1, 2, 3], "abc")
    assert (result.difference.value, result.difference.error) == (0.0, 0.0)
    assert (result.t_test, result.sign_flips, result.cohen_d, result.better) == (1.0, 1.0, None, 0.5)


def test_differences_that_happen_to_be_zero_or_one_are_no_proportion() -> None:
    result = paired_difference([1, 1, 0, 1], [0, 1, 0, 0], range(4))
    assert result.difference.interval is not None
    assert result.difference.interval.method == "clustered t"


def test_pairing_sees_what_separate_intervals_do_not() -> None:
    generator = np.random.default_rng(1)
    difficulty = np.repeat(generator.normal(size=80), 2) * 3
    groups = np.repeat(np.arange(80), 2)
    first = difficulty + generator.normal(size=160) * 0.5 + 0.3
    second = difficulty + generator.normal(size=160) * 0.5
    result = paired_difference(first, second, groups)
    assert result.t_test is not None
    assert result.t_test < 0.001
    assert result.sign_flips == pytest.approx(1 / 5000, rel=1.01)
