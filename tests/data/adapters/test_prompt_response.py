import pytest

from qstar_pl.data import PromptResponse
from qstar_pl.data.adapters.adapter import RowRejected
from qstar_pl.errors import UserError


def test_columns_by_name():
    example = PromptResponse(prompt_field="q", response_field="a").example({"q": " why? ", "a": " so "}, "f:1")
    assert (example.turns[0].content, example.chosen, example.rejected) == ("why?", "so", None)
    pair = PromptResponse("q", "a", "b").example({"q": "why?", "a": "so", "b": "no"}, "f:1")
    assert (pair.rejected, pair.key) == ("no", example.key)


def test_prompts_only_and_context():
    only = PromptResponse("q", None).example({"q": "why?"}, "f:1")
    assert (only.chosen, only.rejected) == (None, None)
    alpaca = PromptResponse("instruction", "output", context_field="input")
    row = {"instruction": "Add.", "input": " 1 and 2 ", "output": "3"}
    assert alpaca.example(row, "f:1").turns[0].content == "Add.\n\n1 and 2"
    assert alpaca.example({**row, "input": ""}, "f:1").turns[0].content == "Add."
    with pytest.raises(RowRejected, match="prompt is empty"):
        alpaca.example({**row, "instruction": ""}, "f:1")
    assert alpaca.fields(row) == {"prompt": "instruction + input", "chosen": "output"}


@pytest.mark.parametrize(
    ("values", "reason"), [(("", "x", "y"), "prompt is empty"), (("q", "x", "x"), "equals"), (("q", "x", ""), "empty")]
)
def test_rows_that_are_left_out(values, reason):
    with pytest.raises(RowRejected, match=reason):
        PromptResponse("q", "a", "b").example(dict(zip("qab", values, strict=True)), "f:1")


def test_malformed_rows():
    with pytest.raises(UserError, match="f:7: PromptResponse needs the columns q, a; the row has chosen"):
        PromptResponse("q", "a").example({"chosen": "x"}, "f:7")
    with pytest.raises(UserError, match="f:7: a must be text, got int"):
        PromptResponse("q", "a").example({"q": "x", "a": 3}, "f:7")
