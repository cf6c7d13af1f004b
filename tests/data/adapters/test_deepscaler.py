import pytest

from qstar_pl.data import Auto, DeepScaleR
from qstar_pl.data.adapters.adapter import RowRejected
from qstar_pl.errors import UserError

ROW = {"problem": " Add 1 and 1. ", "answer": "2", "solution": "One and one is 2."}


def test_solution_or_final_answer():
    example = DeepScaleR().example(ROW, "f:1")
    assert (example.turns[0].content, example.chosen) == ("Add 1 and 1.", "One and one is 2.")
    assert example.metadata == {"final_answer": "2", "source": "f:1"}
    assert DeepScaleR().example({**ROW, "solution": " "}, "f:1").chosen == r"\boxed{2}"
    assert DeepScaleR(" Think.").example(ROW, "f:1").turns[0].content == "Add 1 and 1. Think."


@pytest.mark.parametrize(
    ("column", "reason"), [("answer", "there is no final answer"), ("problem", "the prompt is empty")]
)
def test_rows_that_are_left_out(column, reason):
    with pytest.raises(RowRejected, match=reason):
        DeepScaleR(" Think.").example({**ROW, column: " "}, "f:1")


def test_malformed_rows():
    with pytest.raises(UserError, match="f:7: DeepScaleR needs the columns problem, solution; the row has pro"):
        DeepScaleR().example({"problem": "x"}, "f:7")
    with pytest.raises(UserError, match="f:7: solution must be text, got NoneType"):
        DeepScaleR().example({**ROW, "solution": None}, "f:7")


def test_the_real_file(real_data):
    rows = DeepScaleR().read(str(real_data / "deepscaler" / "deepscaler_preview_800.jsonl.gz"))
    assert (rows.read, len(rows.examples), rows.rejected.total()) == (800, 800, 0)
    assert len({example.key for example in rows.examples}) == 795
    assert rows.examples[0].metadata["final_answer"] == r"-\frac{2}{3}"


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("It is $\\boxed{2}$.", "2"),
        ("First \\boxed{1}, then $\\boxed{\\frac{3}{4}}$.", "\\frac{3}{4}"),
        ("So $\\fbox{x^{2}+1}$", "x^{2}+1"),
        ("Thus $\\boxed 7$.", "7"),
    ],
)
def test_the_answer_of_math_stands_in_the_last_box(solution: str, answer: str) -> None:
    rows = [{"problem": "What?", "level": "Level 1", "type": "Algebra", "solution": solution}]
    adapter = Auto().detect(rows).adapter
    assert isinstance(adapter, DeepScaleR)
    example = adapter.example(rows[0], "x:1")
    assert (example.chosen, example.metadata["final_answer"]) == (solution, answer)
    with pytest.raises(RowRejected, match="no final answer"):
        adapter.example({"problem": "What?", "solution": "The answer is 3."}, "x:2")


def test_solutions_without_boxes_are_plain_answers() -> None:
    rows = [{"problem": "What?", "solution": "Two."}]
    assert not isinstance(Auto().detect(rows).adapter, DeepScaleR)
