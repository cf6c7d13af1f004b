"""Win rates at equal lengths: against scikit-learn's regression, statsmodels', and over simulated annotations."""

import csv
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm

from qstar_pl.errors import UserError
from qstar_pl.evaluation.win_rates.annotations import read_alpaca_annotations
from qstar_pl.evaluation.win_rates.length_control import GamedBaseline, length_controlled
from qstar_pl.evaluation.win_rates.logistic import sigmoid

FILE = "alpaca_eval/alpaca-7b.alpaca_eval_gpt4.annotations.json.gz"


def columns(real_data: Path) -> tuple[list[float | None], list[int], list[int]]:
    rows = read_alpaca_annotations(real_data / FILE)
    return [one.preference for one in rows], [one.length for one in rows], [one.baseline_length for one in rows]


def gamed(prompts: int) -> GamedBaseline:
    """Two answers to each prompt, a terse and a verbose one, as `df_gamed.csv` has them."""
    generator = np.random.default_rng(0)
    difficulty = generator.normal(0, 1.2, prompts)
    preferences, lengths = [], []
    for shift, quality in ((-1.2, -0.3), (1.1, 0.2)):
        length = np.tanh(generator.normal(shift, 0.7, prompts)) * 2
        logits = -1.7 * np.tanh(length) + 0.3 * difficulty + quality
        preferences.append(1 / (1 + np.exp(-logits + generator.normal(0, 0.5, prompts))))
        lengths.append(length)
    return GamedBaseline(np.concatenate(preferences), np.concatenate(lengths), np.tile(difficulty, 2), difficulty)


def test_with_gamed_baselines_it_is_the_regression_of_alpaca_eval(real_data: Path) -> None:
    """Its LogisticRegressionCV (L1, liblinear, GroupKFold(5)), run on these very rows with scikit-learn 1.9.1."""
    ours = length_controlled(*columns(real_data), gamed=gamed(805))
    assert ours.value is not None
    assert 100 * ours.value == pytest.approx(26.6245, abs=0.001)  # liblinear stops at a tolerance of 1e-4


def test_without_them_it_is_the_regression_of_statsmodels_and_near_the_published_rate(real_data: Path) -> None:
    preferences, lengths, of_baseline = columns(real_data)
    longer = np.subtract(of_baseline, lengths)
    design = np.stack((np.ones(805), np.tanh(longer / longer.std(ddof=1))), axis=1)
    fitted = sm.GLM(np.array(preferences), design, family=sm.families.Binomial()).fit()
    ours = length_controlled(preferences, lengths, of_baseline)
    assert ours.value == pytest.approx(float(sigmoid(fitted.params)[0]))
    with (real_data / "alpaca_eval" / "alpaca_eval_gpt4_leaderboard.csv").open() as file:
        published = next(row for row in csv.DictReader(file) if row[""] == "alpaca-7b")
    # That one was formed with df_gamed.csv, which is not in these files.
    assert 100 * ours.value == pytest.approx(float(published["length_controlled_winrate"]), abs=0.7)
    assert ours.interval is not None
    assert ours.interval.low < float(published["length_controlled_winrate"]) / 100 < ours.interval.high


def test_a_judge_that_likes_length_is_seen_through_and_the_interval_covers() -> None:
    generator = np.random.default_rng(1)
    covered, raw, experiments, truth = 0, [], 300, 0.5
    for _ in range(experiments):
        groups = np.repeat(np.arange(100), 2)
        longer = generator.normal(-300, 200, 200)
        taste = -1.5 * np.tanh(longer / longer.std(ddof=1)) + 0.8 * generator.normal(size=100)[groups]
        preferences = (generator.random(200) < sigmoid(taste)).astype(float)
        estimate = length_controlled(preferences, np.full(200, 500.0) - longer, np.full(200, 500.0), groups=groups)
        if estimate.interval is not None:
            covered += estimate.interval.low <= truth <= estimate.interval.high
        raw.append(preferences.mean())
    assert np.mean(raw) > 0.7
    assert 0.92 <= covered / experiments <= 0.985


@pytest.mark.parametrize(
    ("preferences", "lengths", "value", "reason"),
    [
        ([1, 1], [2, 3], 1.0, "every comparison was won"),
        ([0, 0, None], [2, 3, 4], 0.0, "every comparison was lost"),
        ([None], [2], None, "no comparison has a verdict"),
        ([1, 0, 1, 0], [9, 1, 8, 2], None, "lengths alone tell wins from losses: no rate at equal ones"),
    ],
    ids=["won", "lost", "none", "separated"],
)
def test_edges(preferences: list[float | None], lengths: list[int], value: float | None, reason: str) -> None:
    estimate = length_controlled(preferences, lengths, np.full(len(lengths), 5))
    assert (estimate.value, estimate.interval, estimate.reason) == (value, None, reason)


def test_answers_of_the_baselines_length_have_the_plain_rate() -> None:
    estimate = length_controlled([1, 0, 1, 0.5], [3, 4, 5, 6], [3, 4, 5, 6])
    assert estimate.value == pytest.approx(0.625)


def test_mistakes() -> None:
    with pytest.raises(UserError, match="lengths must be given of each of 2 rows"):
        length_controlled([1, 0], [3], [3])
    with pytest.raises(UserError, match="the gamed baseline must know the difficulty of every prompt"):
        length_controlled([1, 0, 1, 0], [3, 2, 1, 4], [3, 1, 1, 2], gamed=gamed(3))
