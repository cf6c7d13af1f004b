import pytest

from qstar_pl.data import Auto, NaturalQuestions
from qstar_pl.data.adapters.adapter import RowRejected
from qstar_pl.errors import UserError


def test_first_answer_is_the_demonstration_and_all_are_kept():
    example = NaturalQuestions().example({"question": " who ", "answer": ["A", " ", "B "]}, "f:1")
    assert (example.turns[0].content, example.chosen, example.rejected) == ("who", "A", None)
    assert example.metadata == {"answers": ["A", "B"], "source": "f:1"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"question": "who", "answer": []}, "there is no answer"),
        ({"question": "who", "answer": [" "]}, "there is no answer"),
        ({"question": "", "answer": ["A"]}, "the prompt is empty"),
    ],
)
def test_rows_that_are_left_out(row, reason):
    with pytest.raises(RowRejected, match=reason):
        NaturalQuestions().example(row, "f:1")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"question": "x"}, "f:7: NaturalQuestions needs the columns question, answer; the row has question"),
        ({"question": "x", "answer": "y"}, "f:7: answer must be a list of texts, got str"),
        ({"question": "x", "answer": ["y", 3]}, "f:7: answer must be a list of texts, got one with int in it"),
        ({"question": 3, "answer": ["y"]}, "f:7: question must be text, got int"),
    ],
)
def test_malformed_rows(row, message):
    with pytest.raises(UserError, match=message):
        NaturalQuestions().example(row, "f:7")


def test_the_real_file(real_data):
    rows = NaturalQuestions().read(str(real_data / "nq_open" / "NQ-open.dev.jsonl.gz"))
    assert (rows.read, len(rows.examples), rows.rejected.total()) == (3610, 3610, 0)
    assert sum(len(example.metadata["answers"]) == 1 for example in rows.examples) == 2076
    assert rows.examples[0].metadata["answers"] == ["14 December 1972 UTC", "December 1972"]


def test_trivia_qa() -> None:
    answer = {"value": "Rome", "aliases": ["Roma", "Rome", " "], "normalized_value": "rome"}
    adapter = Auto().detect([{"question": "Where?", "answer": answer}]).adapter
    example = adapter.example({"question": "Where?", "answer": answer}, "x:1")
    assert (example.chosen, example.metadata["answers"]) == ("Rome", ["Rome", "Roma"])
    with pytest.raises(RowRejected, match="no answer"):
        adapter.example({"question": "Where?", "answer": {"value": "<unk>", "aliases": []}}, "x:2")
    assert type(Auto().detect([{"question": "Where?", "answer": {"text": "Rome"}}]).adapter) is not type(adapter)
