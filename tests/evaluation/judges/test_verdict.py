import json
import math

import pytest

from qstar_pl.evaluation.judges import Verdict


def test_the_higher_score_wins_and_scores_within_the_margin_tie() -> None:
    assert Verdict.of_scores(2.0, 1.0).preference == 1
    assert Verdict.of_scores(1.0, 2.0).preference == 0
    assert Verdict.of_scores(1.0, 1.0).tie
    assert Verdict.of_scores(1.25, 1.0, margin=0.25).tie
    assert Verdict.of_scores(1.5, 1.0, margin=0.25).preference == 1
    assert Verdict.of_scores(-math.inf, -math.inf).tie
    assert Verdict.of_scores(-math.inf, 0.0, margin=5).preference == 0


def test_a_score_that_is_no_number_gives_no_verdict_and_can_be_written() -> None:
    for scores in ((math.nan, 1.0), (1.0, math.nan)):
        verdict = Verdict.of_scores(*scores)
        assert verdict.preference is None
        assert verdict.reason
        assert "NaN" not in json.dumps(verdict.as_json())


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan])
def test_a_preference_is_a_probability(wrong: float) -> None:
    with pytest.raises(ValueError, match="preference must lie in"):
        Verdict(wrong)


def test_whoever_gives_no_verdict_says_why() -> None:
    with pytest.raises(ValueError, match="must say why"):
        Verdict(None)


def test_swapping_exchanges_the_roles() -> None:
    assert Verdict(0.75).swapped().preference == 0.25
    assert Verdict(0.5).swapped().tie
    assert Verdict(None, "no answer").swapped() == Verdict(None, "no answer")


def test_a_verdict_comes_back_from_json() -> None:
    for verdict in (Verdict(1.0), Verdict(None, "cut off"), Verdict(0.25, "shorter", {"order": "ba", "tokens": 3})):
        assert Verdict.of_json(json.loads(json.dumps(verdict.as_json()))) == verdict
