import pytest

from qstar_pl.data import Auto, ImplicitPrompt, RowRejected
from qstar_pl.errors import UserError


@pytest.mark.parametrize(
    ("chosen", "rejected", "prompt", "better", "worse"),
    [
        ("The sky is blue.", "The sky is green.", "The sky is", "blue.", "green."),
        ("The sky is blue.", "The sky is black.", "The sky is", "blue.", "black."),
        ("One two\nthree", "One two\nthirty", "One two", "three", "thirty"),
        ("a b", "a bc", "a", "b", "bc"),
    ],
)
def test_whole_words_that_both_begin_with(chosen, rejected, prompt, better, worse):
    example = ImplicitPrompt().example({"chosen": chosen, "rejected": rejected}, "f:1")
    assert (example.turns[0].content, example.chosen, example.rejected) == (prompt, better, worse)


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [("red", "read", "do not begin alike"), ("a b", "a b", "equals"), ("x", "", "do not begin alike")],
)
def test_texts_that_are_left_out(chosen, rejected, reason):
    with pytest.raises(RowRejected, match=reason):
        ImplicitPrompt().example({"chosen": chosen, "rejected": rejected}, "f:1")


def test_answers_without_a_prompt_are_not_guessed_at():
    with pytest.raises(UserError, match="Auto needs a column of prompts"):
        Auto().choose({"chosen": "Apples, perhaps.", "rejected": "No idea."}, "f:1")
