import pytest

from qstar_pl.data import LengthFilter, single_turn
from qstar_pl.errors import UserError
from qstar_pl.types import Example, Turn

TWO = Example(1, (Turn("system", "one two"), Turn("user", "three")), "yes it is", "no")


def reason(example, tokenizer=None, **options):
    return LengthFilter(**options).reasons([example], tokenizer)[0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"max_prompt": 12}, None),
        ({"max_prompt": 11}, "the prompt has more than 11 characters"),
        ({"min_prompt": 12}, None),
        ({"min_prompt": 13}, "the prompt has less than 13 characters"),
        ({"max_response": 9}, None),
        ({"max_response": 8}, "an answer has more than 8 characters"),
        ({"min_response": 2}, None),
        ({"min_response": 3}, "an answer has less than 3 characters"),
        ({"unit": "words", "max_prompt": 3, "max_response": 3}, None),
        ({"unit": "words", "max_prompt": 2}, "the prompt has more than 2 words"),
        ({"unit": "words", "min_response": 2}, "an answer has less than 2 words"),
    ],
)
def test_limits_are_inclusive(options, expected):
    assert reason(TWO, **options) == expected


def test_prompts_without_answers_are_not_judged_by_answers():
    assert reason(single_turn("q"), min_response=5) is None


def test_tokens(tokenizer):
    count = len(tokenizer("yes it is")["input_ids"])
    assert count not in (3, 9)  # neither words nor characters
    assert reason(TWO, tokenizer, unit="tokens", max_response=count) is None
    assert (
        reason(TWO, tokenizer, unit="tokens", max_response=count - 1) == f"an answer has more than {count - 1} tokens"
    )
    with pytest.raises(UserError, match="unit must be characters or words where there is no tokenizer, got tokens"):
        reason(TWO, unit="tokens", max_prompt=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "LengthFilter must have at least one of min_prompt, max_prompt, min_response, max_response, got none"),
        ({"min_prompt": -1}, "min_prompt must be at least 0, got -1"),
        ({"min_response": 5, "max_response": 4}, "min_response must be at most max_response, got 5 and 4"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(UserError, match=message):
        LengthFilter(**options)
