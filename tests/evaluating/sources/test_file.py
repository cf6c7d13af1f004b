"""Answers in files: in which forms they are read, and what is said of those that do not fit."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from qstar_pl.errors import UserError
from qstar_pl.evaluating import AnswersFile
from qstar_pl.evaluating.prompts import Prompts, read_prompts
from qstar_pl.evaluating.sources import Answered, Answering
from qstar_pl.generation.data import GenerationData

ROWS = [{"question": f"{number} + 1?", "answer": [str(number + 1)], "id": f"q{number}"} for number in range(4)]
PROBLEM = {
    "task_id": "T/0",
    "prompt": "def one():\n",
    "entry_point": "one",
    "test": "def check(one):\n    assert one() == 1\n",
}


def write(name: str, rows: list[Any]) -> str:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


def prompts(rows: list[Any] = ROWS, **options: Any) -> Prompts:
    return read_prompts(GenerationData(write("data.jsonl", rows), **options))


def read(rows: list[Any], of: Prompts | None = None, **options: Any) -> Answered:
    source = AnswersFile(write("a.jsonl", rows), **options)
    return source.answers(Answering(of or prompts(), "answers", lambda model: pytest.fail("no model is to answer")))


def said(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


FORMS = {
    "rows of qstar generate": [{"messages": said("2 + 1?", "3"), "sample_idx": 2, "answer_idx": 0}],
    "question and answer": [{"question": "2 + 1?", "answer": "3"}],
    "AlpacaEval": [{"instruction": "2 + 1? ", "output": "3", "generator": "g"}],
    "HH-RLHF's text": [{"prompt": "\n\nHuman: 2 + 1?\n\nAssistant:", "response": "3"}],
    "messages without an answer": [{"prompt": said("2 + 1?", "3")[:1], "completion": "3"}],
}


@pytest.mark.parametrize("form", FORMS)
def test_usual_forms_are_read_as_they_are(isolated, form):
    found = read(FORMS[form])
    assert found.texts == {2: ("3",)}
    assert found.facts["rows"] == 1


def test_columns_of_other_names_are_named(isolated):
    assert read([{"p": "0 + 1?", "a": "1"}], prompt_field="p", answer_field="a").texts == {0: ("1",)}
    assert read([{"id": "q3", "a": "4"}], id_field="id", answer_field="a").texts == {3: ("4",)}
    with pytest.raises(UserError, match="prompt_field must be left out where id_field is given, got p"):
        AnswersFile("a.jsonl", prompt_field="p", id_field="id")


def test_several_answers_are_rows_or_lists_and_an_answer_may_be_empty(isolated):
    rows = [{"question": "0 + 1?", "answer": text} for text in ("1", "")] + [
        {"question": "1 + 1?", "answer": ["2", "3"]}
    ]
    assert read(rows).texts == {0: ("1", ""), 1: ("2", "3")}
    nothing = [{"messages": said("0 + 1?", text)} for text in ("", " ", "\n\n")]
    assert read(nothing).texts == {0: ("", " ", "\n\n")}, "white space is what some models answer"
    twice = [*said("0 + 1?", "1"), {"role": "assistant", "content": ""}]
    with pytest.raises(UserError, match="do not alternate between user and assistant"):
        read([{"messages": twice}])


def test_rows_of_the_data_with_one_prompt_share_its_answers_in_turn(isolated):
    of = prompts([{"question": "a?", "answer": ["1"]}, {"question": "b?", "answer": ["2"]}, ROWS[0], ROWS[0]])
    rows = [{"question": "0 + 1?", "answer": text} for text in ("x", "y", "z")]
    assert read(rows, of).texts == {2: ("x", "z"), 3: ("y",)}
    numbered = [{"messages": said("0 + 1?", text), "sample_idx": 3} for text in ("x", "y")]
    assert read(numbered, of).texts == {3: ("x", "y")}
    elsewhere = [{"messages": said("0 + 1?", "x"), "sample_idx": 0}]
    assert read(elsewhere, of).texts == {2: ("x",)}, "a number of another data set's does not count"


def test_completions_of_human_eval_continue_the_prompt(isolated):
    of = prompts([PROBLEM])
    assert read([{"task_id": "T/0", "completion": "    return 1\n"}], of).texts == {0: ("def one():\n    return 1\n",)}
    whole = "```python\ndef one():\n    return 1\n```"
    assert read([{"messages": said("def one():\n", whole), "task_id": "T/0"}], of).texts == {0: (whole,)}


def test_answers_outside_the_range_are_counted_and_left_out(isolated):
    of = prompts(start_idx=1, end_idx=3)
    found = read([{"question": row["question"], "answer": "x"} for row in ROWS], of)
    assert (sorted(found.texts), found.ignored) == ([1, 2], 2)


def test_packed_files_are_read(isolated):
    with gzip.open("a.jsonl.gz", "wt") as file:
        file.write(json.dumps({"question": "0 + 1?", "answer": "1"}) + "\n")
    asked = Answering(prompts(), "answers", lambda model: pytest.fail("no model is to answer"))
    assert AnswersFile("a.jsonl.gz").answers(asked).texts == {0: ("1",)}


MISTAKES = {
    "another prompt": (
        [{"question": "9?", "answer": "x"}],
        "prompts of the data, got 1 of 1 rows with others",
    ),
    "no prompt": ([{"answer": "x"}], r"column for the prompt \(prompt, instruction, .*got answer \(a.jsonl:1\)"),
    "no answer": ([{"question": "0 + 1?"}], r"column for the answer \(answer, .*got question \(a.jsonl:1\)"),
    "null": ([{"question": "0 + 1?", "answer": None}], r"answers: answer must be a text, .*got NoneType \(a.jsonl:1\)"),
    "an empty list": ([{"question": "0 + 1?", "answer": []}], r"got an empty list \(a.jsonl:1\)"),
    "no rows": ([], "answers must hold an answer to a prompt that is evaluated, got 0 rows in a.jsonl"),
    "no last answer": ([{"messages": said("0 + 1?", "x")[:1]}], "must end with the assistant's answer, got a.jsonl:1"),
    "no dialogue": ([{"messages": [{"role": "judge", "content": "x"}]}], "messages must be a dialogue, got a.jsonl:1"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_does_not_fit_is_named_with_its_line(isolated, mistake):
    rows, message = MISTAKES[mistake]
    with pytest.raises(UserError, match=message):
        read(rows)


def test_a_column_that_was_named_must_be_in_every_row(isolated):
    with pytest.raises(UserError, match=r"answers must have the column a in every row, got b, question \(a.jsonl:1\)"):
        read([{"question": "0 + 1?", "b": "x"}], answer_field="a")
    with pytest.raises(UserError, match=r"answers must be a file, a folder or a hub id; there is no nowhere\.jsonl"):
        AnswersFile("nowhere.jsonl").answers(Answering(prompts(), "answers", lambda model: Path()))
