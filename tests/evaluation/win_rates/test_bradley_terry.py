"""Ratings against an independent fit, over simulated tournaments, and what is refused."""

import numpy as np
import pytest

from qstar_pl.errors import UserError
from qstar_pl.evaluation.win_rates.bradley_terry import CENTER, ELO, bradley_terry

NAMES = ("dpo", "ppo", "q*", "sft")


def tournament(
    generator: np.random.Generator, strengths: np.ndarray, prompts: int
) -> tuple[list[str], list[str], list[float], list[int]]:
    """Two comparisons on each prompt, whose taste both share; a tenth are draws."""
    first, second, preferences, groups = [], [], [], []
    for prompt in range(prompts):
        taste = generator.normal(0, 0.7, len(strengths))
        for _ in range(2):
            i, j = generator.choice(len(strengths), 2, replace=False)
            odds = strengths[i] + taste[i] - strengths[j] - taste[j]
            won = float(generator.random() < 1 / (1 + np.exp(-odds)))
            first.append(NAMES[i])
            second.append(NAMES[j])
            preferences.append(0.5 if generator.random() < 0.1 else won)
            groups.append(prompt)
    return first, second, preferences, groups


def test_ratings_are_those_of_the_classic_iteration() -> None:
    """Zermelo's: s_i ← wins_i / Σ_j n_ij/(s_i + s_j)."""
    first, second, preferences, groups = tournament(np.random.default_rng(0), np.array([0.0, 0.5, 1.0, -0.5]), 300)
    wins, games = np.zeros((4, 4)), np.zeros((4, 4))
    for one, other, preference in zip(first, second, preferences, strict=True):
        i, j = NAMES.index(one), NAMES.index(other)
        wins[i, j] += preference
        wins[j, i] += 1 - preference
        games[i, j] += 1
        games[j, i] += 1
    power = np.ones(4)
    for _ in range(2000):
        power = wins.sum(axis=1) / (games / (power[:, None] + power[None])).sum(axis=1)
        power /= power.sum()
    elo = CENTER + ELO * (np.log(power) - np.log(power).mean())
    ratings = bradley_terry(first, second, preferences, groups)
    assert {one.name: one.elo for one in ratings.methods} == pytest.approx(dict(zip(NAMES, elo, strict=True)), abs=1e-4)
    order = [NAMES.index(one.name) for one in ratings.methods]
    assert [one.elo for one in ratings.methods] == sorted((one.elo for one in ratings.methods), reverse=True)
    power = power[order]
    assert ratings.probabilities == pytest.approx(power[:, None] / (power[:, None] + power[None]), abs=1e-6)
    assert sum(one.comparisons for one in ratings.methods) == 2 * len(first)
    assert np.mean([one.win_rate for one in ratings.methods]) == pytest.approx(0.5)


def test_two_methods_are_as_far_apart_as_the_win_rate_says() -> None:
    ratings = bradley_terry(["a"] * 8, ["b"] * 8, [1, 1, 1, 1, 1, 1, 0, 0])
    strong, weak = ratings.methods
    assert strong.elo - weak.elo == pytest.approx(400 * np.log10(3))
    assert strong.win_rate == pytest.approx(0.75)


def test_intervals_cover_the_strengths_where_prompts_are_shared() -> None:
    generator = np.random.default_rng(1)
    covered, total, found = 0, 0, []
    for _ in range(150):
        first, second, preferences, groups = tournament(generator, np.array([0.0, 0.3, 0.6, -0.3]), 150)
        ratings = bradley_terry(first, second, preferences, groups)
        found.append({one.name: one for one in ratings.methods})
    for name in NAMES:
        truth = np.mean([one[name].elo for one in found])  # tastes and draws draw strengths together
        covered += sum(one[name].interval.low <= truth <= one[name].interval.high for one in found)
        total += len(found)
    assert 0.92 <= covered / total <= 0.98


def test_a_method_that_always_loses_needs_a_prior() -> None:
    arguments = ["a", "a", "b"], ["b", "b", "c"], [1, 0, 1]
    with pytest.raises(UserError, match=r"methods must win and lose against the rest, got a, b \| c, .*prior=0.5"):
        bradley_terry(*arguments)
    ratings = bradley_terry(*arguments, prior=0.5)
    assert [one.name for one in ratings.methods][-1] == "c"
    assert np.isfinite([one.error for one in ratings.methods]).all()


@pytest.mark.parametrize(
    ("first", "second", "preferences", "message"),
    [
        ("ac", "bd", [0.5, 0.5], r"comparisons must connect all methods, got a, b \| c, d, never compared"),
        ("ab", "ba", [1.5, 0], r"preferences must lie in \[0, 1\], got 1.5"),
        ("ab", "bb", [0.5, 0.5], "a method must not be compared to itself, got b"),
        ("a", "a", [0.5], "comparisons must be between two methods or more, got 1"),
    ],
    ids=["disconnected", "range", "itself", "one"],
)
def test_mistakes(first: str, second: str, preferences: list[float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        bradley_terry(list(first), list(second), preferences)


def test_draws_alone_make_no_rating_sure() -> None:
    ratings = bradley_terry(["a"] * 40, ["b"] * 40, [0.5] * 40)
    assert [one.elo for one in ratings.methods] == pytest.approx([CENTER, CENTER])
    assert [one.error for one in ratings.methods] == pytest.approx([ELO / np.sqrt(40)] * 2)  # 1/(40/4) of a difference


def test_one_prompt_does_not_tell_how_sure_ratings_are() -> None:
    with pytest.raises(UserError, match="comparisons must be of two prompts or more"):
        bradley_terry(["a", "a"], ["b", "b"], [1, 0], ["x", "x"])


def test_what_has_no_verdict_does_not_count() -> None:
    ratings = bradley_terry(["a", "a", "a"], ["b", "b", "b"], [1, 0, np.nan], ["x", "y", "z"])
    assert [one.comparisons for one in ratings.methods] == [2, 2]
