import pytest

from qstar_pl.data import RedTeam, RowRejected


def test_the_attack_is_the_prompt_and_nothing_is_demonstrated():
    text = "\n\nHuman: Why?\n\nAssistant: So.\n\nHuman: And?\n\nAssistant: Bad."
    example = RedTeam().example({"transcript": text, "rating": 4.0, "tags": None}, "f:1")
    assert [turn.content for turn in example.turns] == ["Why?", "So.", "And?"]
    assert (example.chosen, example.rejected) == (None, None)
    assert example.metadata == {"source": "f:1", "rating": 4.0}
    open_end = RedTeam().example({"transcript": text.removesuffix(" Bad.")}, "f:1")
    assert open_end.turns == example.turns


@pytest.mark.parametrize("text", ["plain", "\n\nHuman: a\n\nHuman: b\n\nAssistant: c", "\n\nAssistant: a\n\nHuman: b"])
def test_transcripts_that_are_left_out(text):
    with pytest.raises(RowRejected, match=r"no turns of Human and Assistant|do not alternate"):
        RedTeam().example({"transcript": text}, "f:1")
