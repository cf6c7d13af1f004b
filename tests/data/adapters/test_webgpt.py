import pytest

from qstar_pl.data import RowRejected, WebGPT

ROW = {"question": {"full_text": "Why?"}, "answer_0": "zero", "answer_1": "one", "score_0": 0.5, "score_1": -0.5}


def test_the_higher_score_wins():
    example = WebGPT().example(ROW, "f:1")
    assert (example.turns[0].content, example.chosen, example.rejected) == ("Why?", "zero", "one")
    assert (example.metadata["score_chosen"], example.metadata["margin"]) == (0.5, 1.0)
    turned = {**ROW, "score_0": -0.25, "score_1": 0.25, "question": "Why?"}
    assert WebGPT().example(turned, "f:1").chosen == "one"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"score_0": 0, "score_1": 0.0}, "a tie"),
        ({"answer_1": ""}, "an answer is empty"),
        ({"question": {}}, "prompt is"),
    ],
)
def test_rows_that_are_left_out(changes, reason):
    with pytest.raises(RowRejected, match=reason):
        WebGPT().example({**ROW, **changes}, "f:1")
