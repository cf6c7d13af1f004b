import pytest

from qstar_pl.data import RowRejected
from qstar_pl.data.adapters.transcript import is_answered, is_transcript, transcript

SAID = ["Why?", "So.", "And?"]


@pytest.mark.parametrize(
    "text",
    [
        "\n\nHuman: Why?\n\nAssistant: So.\n\nHuman: And?\n\nAssistant:",
        "Human: Why?\n\nAssistant: So.\n\nHuman: And?\n\nAssistant: ",
        "### Human: Why? ### Assistant: So. ### Human: And? ### Assistant:",
        "### Human: Why?### Assistant: So.### Human: And?",
        "<extra_id_1>User\nWhy?\n<extra_id_1>Assistant\nSo.\n<extra_id_1>User\nAnd?\n<extra_id_1>Assistant\n",
    ],
)
def test_markers(text):
    turns, answer = transcript(text)
    assert ([turn.content for turn in turns], answer) == (SAID, None)
    assert [turn.role for turn in turns] == ["user", "assistant", "user"]
    assert is_transcript(text)
    assert not is_answered(text)
    closed = text if text.rstrip().endswith(("Assistant:", "Assistant")) else f"{text}### Assistant:"
    assert transcript(f"{closed} Thus.")[1] == "Thus."
    assert is_answered(f"{closed} Thus.")


@pytest.mark.parametrize(
    "text", ["Why?", "Human: Why?", "What did the Human: say to Assistant: there?", "", "Assistant: x"]
)
def test_plain_texts(text):
    assert not is_transcript(text)
    assert [turn.content for turn in transcript(text)[0]] == [text]


def test_turns_out_of_order():
    with pytest.raises(RowRejected, match="do not alternate"):
        transcript("Human: a\n\nHuman: b\n\nAssistant: c")
