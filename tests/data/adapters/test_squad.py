import pytest

from qstar_pl.data import SQuAD
from qstar_pl.errors import UserError

ROW = {
    "context": "Paris is in France.",
    "question": "Where is Paris?",
    "answers": {"text": ["France"], "answer_start": [1]},
}


def test_the_context_is_part_of_the_prompt():
    example = SQuAD().example(ROW, "f:1")
    assert (example.turns[0].content, example.chosen) == ("Paris is in France.\n\nWhere is Paris?", "France")
    assert example.metadata["answers"] == ["France"]
    assert SQuAD().example({**ROW, "context": ""}, "f:1").turns[0].content == "Where is Paris?"


@pytest.mark.parametrize("answers", [{"text": []}, {"text": [" "]}, None])
def test_a_question_without_an_answer_is_a_prompt(answers):
    assert SQuAD().example({**ROW, "answers": answers}, "f:1").chosen is None


@pytest.mark.parametrize("answers", ["France", {"text": "France"}, {"text": [3]}])
def test_malformed_answers(answers):
    with pytest.raises(UserError, match="f:1: answers"):
        SQuAD().example({**ROW, "answers": answers}, "f:1")
