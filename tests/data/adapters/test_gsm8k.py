import pytest

from qstar_pl.data import GSM8K
from qstar_pl.data.adapters.adapter import RowRejected
from qstar_pl.errors import UserError

ROW = {"question": "How many?", "answer": "It is 2*600=<<2*600=1200>>1200.\n#### 1,200"}


def test_final_answer():
    example = GSM8K().example(ROW, "f:1")
    assert (example.turns[0].content, example.chosen) == ("How many?", ROW["answer"])
    assert example.metadata == {"final_answer": "1200", "source": "f:1"}
    assert GSM8K(calculations=False).example(ROW, "f:1").chosen == "It is 2*600=1200.\n#### 1,200"


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"answer": "It is 3."}, "there is no final answer after ####"),
        ({"answer": "It is 3.\n#### "}, "there is no final answer after ####"),
        ({"question": ""}, "the prompt is empty"),
    ],
)
def test_rows_that_are_left_out(values, reason):
    with pytest.raises(RowRejected, match=reason):
        GSM8K().example({**ROW, **values}, "f:1")


def test_malformed_rows():
    with pytest.raises(UserError, match="f:7: GSM8K needs the columns question, answer; the row has question"):
        GSM8K().example({"question": "x"}, "f:7")
    with pytest.raises(UserError, match="f:7: answer must be text, got float"):
        GSM8K().example({"question": "x", "answer": 1.5}, "f:7")


def test_the_real_file(real_data):
    rows = GSM8K().read(str(real_data / "gsm8k" / "train_1000.jsonl.gz"))
    assert (rows.read, len(rows.examples), rows.rejected.total()) == (1000, 1000, 0)
    assert rows.examples[0].metadata["final_answer"] == "72"
    finals = [float(example.metadata["final_answer"]) for example in rows.examples]  # all of them are numbers
    assert len(finals) == 1000
