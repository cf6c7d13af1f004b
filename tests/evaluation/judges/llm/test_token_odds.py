from math import log

import pytest

from qstar_pl.evaluation.judges.llm.token_odds import TokenOdds, weighted_preference
from qstar_pl.evaluation.judges.llm.verdict_forms import Marks

DIGITS = Marks("1", "2")
OWN = Marks("Verdict: 1", "Verdict: 2", "Verdict: tie")


def tokens(*texts: str, **odds: float) -> list[TokenOdds]:
    """Tokens of which the last has these alternatives (_ for a space)."""
    alternatives = {name.replace("_", " ").encode(): log(share) for name, share in odds.items()}
    *before, last = [text.encode() for text in texts]
    return [*(TokenOdds(text, {text: 0.0}) for text in before), TokenOdds(last, alternatives)]


@pytest.mark.parametrize(
    ("form", "reply", "given", "preference"),
    [
        (DIGITS, "1", tokens("1", **{"1": 0.6, "2": 0.2, "I": 0.2}), 0.75),
        (DIGITS, "2", tokens("2", **{"2": 1.0}), 0.0),
        (OWN, "Verdict: tie", tokens("Verdict", ":", " tie", _1=0.2, _2=0.2, _tie=0.6), 0.5),
        (OWN, "Verdict: 1", tokens("Verdict", ": ", "1", **{"1": 0.3, "2": 0.1, "t": 0.1}), 0.7),
        # Words of the reply before it, which hold the mark too, decide nothing.
        (OWN, "Verdict: 1\nVerdict: 2", tokens("Verdict: 1", "\nVerdict:", " 2", _1=0.25, _2=0.75), 0.25),
        # The token ends what is common and goes on beyond the mark.
        (OWN, "Verdict: 1", tokens("Verdict: 1", **{"Verdict:_1".replace("_", " "): 0.5, "x": 0.5}), 1.0),
        (Marks("[[A]]", "[[B]]", alone=False), "So [[B]]", tokens("So", " [[", "B]]", **{"A]]": 0.1, "B": 0.3}), 0.25),
    ],
)
def test_by_hand(form: Marks, reply: str, given: list[TokenOdds], preference: float) -> None:
    assert weighted_preference(reply, given, form) == pytest.approx(preference, abs=1e-12)


def test_what_says_nothing_gives_nothing() -> None:
    assert weighted_preference("1", tokens("2", **{"2": 1.0}), DIGITS) is None  # tokens of another reply
    assert weighted_preference("1", [], DIGITS) is None
    assert weighted_preference("1", tokens("1", x=1.0), DIGITS) is None
    assert weighted_preference("ab", tokens("ab", a=1.0), Marks("ab", "ac")) is None  # begins both
    assert weighted_preference("1", tokens("1", **{"1": 1e-320}), DIGITS) in (None, 1.0)


def test_characters_of_several_tokens_count_by_their_bytes() -> None:
    pieces = [
        TokenOdds("é".encode()[:1], {}),
        TokenOdds("é".encode()[1:], {}),
        *tokens("\n", "1", **{"1": 0.5, "2": 0.5}),
    ]
    assert weighted_preference("é\n1", pieces, DIGITS) == pytest.approx(0.5)
