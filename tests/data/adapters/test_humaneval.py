import pytest

from qstar_pl.data import HumanEval
from qstar_pl.data.adapters.adapter import RowRejected
from qstar_pl.data.text.templates import PlainTemplate
from qstar_pl.errors import UserError

ROW = {
    "task_id": "HumanEval/0",
    "prompt": "\n\ndef one():\n    '''Return 1.'''\n",
    "entry_point": "one",
    "canonical_solution": "    return 1\n",
    "test": "def check(candidate):\n    assert candidate() == 1\n",
}


def test_texts_stay_as_they_are():
    example = HumanEval().example(ROW, "f:1")
    assert example.turns[0].content == ROW["prompt"]
    assert example.chosen == ROW["canonical_solution"]
    assert example.metadata == {"task": "humaneval", "source": "f:1", **ROW}
    plain = PlainTemplate()
    assert plain.prompt(example.turns) + plain.completion(example.turns, example.chosen) == (
        ROW["prompt"] + ROW["canonical_solution"]
    )


def test_instruction_is_in_the_turn_and_not_in_the_metadata():
    example = HumanEval(instruction="Complete:\n").example(ROW, "f:1")
    assert example.turns[0].content == "Complete:\n" + ROW["prompt"]
    assert example.metadata["prompt"] == ROW["prompt"]


@pytest.mark.parametrize(
    ("column", "reason"), [("prompt", "the prompt is empty"), ("canonical_solution", "an answer is empty")]
)
def test_empty_texts_are_left_out(column, reason):
    with pytest.raises(RowRejected, match=reason):
        HumanEval(instruction="Complete:\n").example({**ROW, column: "\n"}, "f:1")


def test_malformed_rows():
    with pytest.raises(UserError, match=r"f:7: HumanEval needs the columns task_id, prompt, .*; the row has prompt"):
        HumanEval().example({"prompt": "x"}, "f:7")
    with pytest.raises(UserError, match="f:7: test must be text, got list"):
        HumanEval().example({**ROW, "test": []}, "f:7")


def test_the_real_file(real_data):
    rows = HumanEval().read(str(real_data / "humaneval" / "HumanEval.jsonl.gz"))
    assert (rows.read, len(rows.examples), rows.rejected.total()) == (164, 164, 0)
    assert len({example.key for example in rows.examples}) == 164
    plain = PlainTemplate()
    for example in rows.examples:
        program = plain.prompt(example.turns) + plain.completion(example.turns, example.chosen)
        compile(program + example.metadata["test"], example.metadata["task_id"], "exec")
        assert f"def {example.metadata['entry_point']}(" in program
