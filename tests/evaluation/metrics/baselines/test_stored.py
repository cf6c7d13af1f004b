import json
from pathlib import Path

import pytest
from reference.tiny_rows import tiny_examples

from qstar_pl.data import PromptResponse
from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics import Answers, Facts, StoredAnswers
from qstar_pl.types import Example

ROWS = tiny_examples(3)


def messages(example: Example, answer: str) -> dict:
    turns = [{"role": turn.role, "content": turn.content} for turn in example.turns]
    # Beside the messages stand the data's own columns, which are not the answer.
    return {"messages": [*turns, {"role": "assistant", "content": answer}], **example.metadata["row"]}


def write(path: Path, rows: list) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def answers(*examples: Example) -> Answers:
    return Answers(None, ["x"] * len(examples), examples=list(examples))


def test_rows_of_generate_are_found_by_their_prompts(tmp_path: Path) -> None:
    rows = [messages(ROWS[1], "b"), messages(ROWS[0], "a"), messages(ROWS[1], ""), messages(ROWS[1], " \n")]
    baseline = StoredAnswers(write(tmp_path / "answers.jsonl", rows))
    assert baseline.texts(answers(*ROWS)) == ["a", "b", None]
    first, second, _ = ROWS
    # Each answer of a prompt meets another one, as long as there are; then they begin again.
    assert baseline.texts(answers(first, first, *[second] * 4)) == ["a", "a", "b", "", " \n", "b"]


def test_rows_with_a_prompt_and_an_answer(tmp_path: Path) -> None:
    asked = [row for row in ROWS if len(row.turns) == 1]
    rows = [{"prompt": row.turns[-1].content, "response": "fine"} for row in asked]
    path = write(tmp_path / "answers.jsonl", rows)
    for baseline in (StoredAnswers(path), StoredAnswers(path, PromptResponse("prompt", "response"))):
        assert baseline.texts(answers(*asked)) == ["fine"] * len(asked)


def test_a_file_about_other_prompts_is_refused(tmp_path: Path) -> None:
    baseline = StoredAnswers(write(tmp_path / "answers.jsonl", [messages(ROWS[0], "a")]))
    assert baseline.missing(Facts(ROWS)) is None
    reason = baseline.missing(Facts(ROWS[1:], "tiny"))
    assert reason is not None
    assert reason.startswith("answers to the prompts of tiny to compare with, got 1 others in ")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "baseline.path must hold answers, got no row in"),
        ([{"messages": [{"role": "user", "content": "Why?"}]}], r"an answer in every row, got none \(.*:1\)"),
        ([{"messages": "Why?"}], "an answer in every row, got .*:1: messages must be a list of messages"),
        (
            [{"messages": [{"role": "user", "content": "?"}, {"role": "user", "content": "!"}]}],
            "in every row, got .*:1",
        ),
    ],
    ids=["empty", "no answer", "no messages", "out of turn"],
)
def test_mistakes_in_the_file(tmp_path: Path, rows: list, message: str) -> None:
    baseline = StoredAnswers(write(tmp_path / "answers.jsonl", rows))
    with pytest.raises(UserError, match=message):
        baseline.texts(answers(*ROWS))


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"^baseline\.path must"):
        StoredAnswers("nowhere.jsonl").texts(answers(*ROWS))
