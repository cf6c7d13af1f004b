"""Intervals of numbers formed from totals: against SciPy, sacreBLEU and the definition, and over experiments."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import bootstrap

from qstar_pl.evaluation.statistics.mean import mean_interval
from qstar_pl.evaluation.statistics.totals import FEW_GROUPS, difference_of, statistic_interval

Floats = NDArray[np.float64]


def ratio(totals: Floats) -> float:
    return float(totals[0] / totals[1])


def perplexity(totals: Floats) -> float:
    return float(np.exp(-totals[0] / totals[1]))


def log_likelihoods(prompts: int, generator: np.random.Generator) -> tuple[Floats, NDArray[np.intp]]:
    """Rows (Σ log p, tokens) of four answers per prompt, which differ in length and in how likely they are."""
    groups = np.repeat(np.arange(prompts), 4)
    tokens = generator.integers(5, 60, len(groups)).astype(float)
    rate = 2.0 + 0.5 * generator.normal(size=prompts)[groups] + 0.3 * generator.normal(size=len(groups))
    return np.stack((-rate * tokens, tokens), axis=1), groups


def test_a_mean_of_few_prompts_has_the_t_interval() -> None:
    values = np.random.default_rng(0).normal(size=24)
    groups = np.repeat(np.arange(8), 3)
    ours = statistic_interval(np.stack((values, np.ones(24)), axis=1), groups, ratio)
    expected = mean_interval(values, groups)
    assert ours.interval is not None
    assert expected.interval is not None
    assert (ours.value, ours.error) == pytest.approx((expected.value, expected.error))
    assert (ours.interval.low, ours.interval.high) == pytest.approx((expected.interval.low, expected.interval.high))
    assert ours.interval.method == "jackknife t over prompts"


def test_independent_rows_have_scipys_bca_interval() -> None:
    rows = np.random.default_rng(1).gamma(2.0, size=(60, 2))
    ours = statistic_interval(rows, None, ratio, seed=5, resamples=999)
    expected = bootstrap(
        (rows[:, 0], rows[:, 1]),
        lambda x, y, axis: x.sum(axis=axis) / y.sum(axis=axis),
        paired=True,
        n_resamples=999,
        method="BCa",
        rng=np.random.default_rng(5),
    )
    assert ours.interval is not None
    assert (ours.interval.low, ours.interval.high) == pytest.approx(tuple(expected.confidence_interval))
    assert ours.error == pytest.approx(expected.standard_error, rel=0.1)
    assert ours == statistic_interval(rows, None, ratio, seed=5, resamples=999)
    assert ours != statistic_interval(rows, None, ratio, seed=6, resamples=999)


def test_corpus_bleu_of_real_translations_has_an_interval_as_sacrebleu_finds_it(real_data: Path) -> None:
    from sacrebleu.metrics import BLEU

    with (real_data / "wmt" / "wmt_en_ro_fixture_test.jsonl").open() as lines:
        references = [json.loads(line)["translation"]["ro"] for line in lines]
    answers = [" ".join(text.split()[: -1 - len(text) % 4]) or text for text in references]
    bleu = BLEU()
    counts = np.array(bleu._extract_corpus_statistics(answers, [references]), dtype=float)

    def form(totals: Floats) -> float:
        return float(bleu._compute_score_from_stats([int(one) for one in totals]).score)

    ours = statistic_interval(counts, None, form, resamples=999)
    whole = BLEU().corpus_score(answers, [references], n_bootstrap=1000)
    assert ours.value == pytest.approx(whole.score)
    assert ours.interval is not None
    half = (ours.interval.high - ours.interval.low) / 2
    assert half == pytest.approx(whole._ci, rel=0.15)


@pytest.mark.parametrize("prompts", [12, FEW_GROUPS])
def test_intervals_cover_the_perplexity(prompts: int) -> None:
    generator = np.random.default_rng(3)
    truth = float(np.exp(2.0))
    covered, experiments = 0, 400
    for _ in range(experiments):
        rows, groups = log_likelihoods(prompts, generator)
        interval = statistic_interval(rows, groups, perplexity, resamples=199).interval
        assert interval is not None
        covered += interval.low <= truth <= interval.high
    assert 0.92 <= covered / experiments <= 0.98


def test_the_difference_of_two_systems_is_surer_than_either() -> None:
    generator = np.random.default_rng(4)
    rows, groups = log_likelihoods(50, generator)
    better = rows * [0.95, 1.0]
    one = statistic_interval(rows, groups, perplexity)
    both = statistic_interval(np.concatenate((rows, better), axis=1), groups, difference_of(perplexity))
    assert both.value == pytest.approx(perplexity(rows.sum(axis=0)) - perplexity(better.sum(axis=0)))
    assert both.interval is not None
    assert one.interval is not None
    assert both.interval.low > 0
    assert both.interval.high - both.interval.low < 0.3 * (one.interval.high - one.interval.low)


@pytest.mark.parametrize(
    ("rows", "groups", "value", "reason"),
    [
        (np.zeros((0, 2)), [], None, "no row has anything to measure"),
        ([[1, 0], [2, 0]], ["a", "b"], None, "the totals do not define it"),
        ([[1, 2], [2, 2]], ["a", "a"], 0.75, "a single prompt does not tell how prompts differ"),
        ([[1, 2], [3, 0]], ["a", "b"], 2.0, "it rests on a single prompt, without which it is undefined"),
        ([[1, 2], [2, 4]], ["a", "b"], 0.5, "all 2 prompts give the same value"),
    ],
    ids=["no row", "0/0", "one prompt", "rests on one", "alike"],
)
def test_what_cannot_be_told_is_said(rows: Floats, groups: list[str], value: float | None, reason: str) -> None:
    estimate = statistic_interval(rows, groups, ratio)
    assert (estimate.value, estimate.interval, estimate.reason) == (value, None, reason)


def test_a_number_that_some_resamples_do_not_define_still_has_an_interval() -> None:
    rows = np.zeros((50, 2))
    rows[:4] = [[1, 2], [2, 2], [1, 3], [2, 5]]  # one resample in 70 has none of the four
    interval = statistic_interval(rows, None, ratio).interval
    assert interval is not None
    assert interval.method == "jackknife t over prompts"
