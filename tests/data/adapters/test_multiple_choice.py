import pytest

from qstar_pl.data import Auto, MultipleChoice, RowRejected
from qstar_pl.errors import UserError

TEXTS = ["Stone", "Apple", "Rain"]
LABELLED = {"text": TEXTS, "label": ["1", "2", "3"]}
PROMPT = "Which is a fruit?\nA. Stone\nB. Apple\nC. Rain"


@pytest.mark.parametrize(
    ("row", "prompt", "right"),
    [
        ({"question": "Which is a fruit?", "choices": TEXTS, "answer": 1, "subject": "fruit"}, PROMPT, "B"),
        ({"question": "Which is a fruit?", "choices": TEXTS, "answer": "1"}, PROMPT, "B"),
        (
            {"article": "All.", "question": "Which is a fruit?", "options": TEXTS, "answer": "B"},
            f"All.\n\n{PROMPT}",
            "B",
        ),
        (
            {"question_stem": "Fruit?", "choices": LABELLED, "answerKey": "2"},
            "Fruit?\n1. Stone\n2. Apple\n3. Rain",
            "2",
        ),
        ({"question": "Which is a fruit?", "options": ["A)Stone", "B)Apple", "C)Rain"], "correct": "B"}, PROMPT, "B"),
        (
            {"question": "Which is a fruit?", "choices": ["(A) Stone", "(B) Apple", "(C) Rain"], "answer": 1},
            PROMPT,
            "B",
        ),
        (
            {"question": "Which?", "choices": ["A. B. King", "C. S. Lewis"], "answer": 1},
            "Which?\nA. A. B. King\nB. C. S. Lewis",
            "B",
        ),
        ({"question": "Which is a fruit?", "choices": TEXTS, "answer": 1.0}, PROMPT, "B"),
        ({"question": "Which is a fruit?", "choices": TEXTS, "answer": "1.0"}, PROMPT, "B"),
        ({"question": "Which is a fruit?", "choices": TEXTS, "answer": -1}, PROMPT, None),
        ({"question": "Which is a fruit?", "choices": TEXTS, "answer": "-1"}, PROMPT, None),
        ({"question": "Which is a fruit?", "choices": TEXTS, "answer": -1.0}, PROMPT, None),
        ({"question": "Which is a fruit?", "choices": TEXTS, "answerKey": ""}, PROMPT, None),
    ],
)
def test_the_choices_are_part_of_the_prompt(row, prompt, right):
    assert Auto().choose(row, "f:1") == MultipleChoice()
    example = MultipleChoice().example(row, "f:1")
    assert (example.turns[0].content, example.chosen, example.rejected) == (prompt, right, None)
    assert example.metadata.get("final_answer") == right
    if right is not None:
        reward = MultipleChoice().default_reward()
        assert reward.is_right(f"So the answer is {right}.", reward.references(example))
        assert not reward.is_right("So the answer is C.", reward.references(example))


@pytest.mark.parametrize("key", [2, 2.0, "2", "2.0"])
def test_a_label_that_is_a_number_may_be_written_as_any_number(key):
    row = {"question": "Fruit?", "choices": LABELLED, "answerKey": key}
    assert MultipleChoice().example(row, "f:1").chosen == "2"


def test_rows_that_are_left_out():
    row = {"question": "q", "choices": TEXTS, "answer": 3}
    with pytest.raises(UserError, match="f:1: answer must be one of the choices, got 3"):
        MultipleChoice().example(row, "f:1")
    with pytest.raises(RowRejected, match="there are no choices"):
        MultipleChoice().example({**row, "choices": ["one"]}, "f:1")
    with pytest.raises(RowRejected, match="there are no choices, or not a label for each"):
        MultipleChoice().example({**row, "choices": {"text": TEXTS, "label": ["A"]}}, "f:1")


def test_a_question_with_an_answer_and_no_choices_is_another_schema():
    assert not isinstance(Auto().choose({"question": "q", "options": "none", "answer": "a"}, "f:1"), MultipleChoice)
