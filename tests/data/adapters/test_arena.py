import json

import pytest

from qstar_pl.data import Arena, RowRejected
from qstar_pl.errors import UserError


def said(*texts):
    return [{"role": "assistant" if number % 2 else "user", "content": text} for number, text in enumerate(texts)]


def vote(winner, a=said("Why?", "A."), b=said("Why?", "B.")):
    return Arena().example({"conversation_a": a, "conversation_b": b, "winner": winner, "model_a": "m"}, "f:1")


def test_the_vote_decides():
    assert (vote("model_a").chosen, vote("model_a").rejected) == ("A.", "B.")
    assert (vote("model_b").chosen, vote("model_b").rejected) == ("B.", "A.")
    assert vote("model_b").metadata["model_rejected"] == "m"
    both = vote("model_a", said("Why?", "So.", "And?", "A."), said("Why?", "So.", "And?", "B."))
    assert [turn.content for turn in both.turns] == ["Why?", "So.", "And?"]


@pytest.mark.parametrize("winner", ["tie", "tie (bothbad)", "both_bad", None])
def test_anything_else_is_a_tie(winner):
    with pytest.raises(RowRejected, match="a tie"):
        vote(winner)


def test_dialogues_that_part_earlier_share_no_prompt():
    with pytest.raises(RowRejected, match="the prompts of chosen and rejected differ"):
        vote("model_a", said("Why?", "So.", "And?", "A."), said("Why?", "Thus.", "And?", "B."))
    with pytest.raises(RowRejected, match="there is no answer: the last message"):
        vote("model_a", said("Why?"))


@pytest.mark.parametrize("votes", [(1, 0), ("1", "0"), (True, False)])
def test_lists_of_texts(votes):
    texts = {"prompt": ["Why?", "And?"], "response_a": ["So.", "A."], "response_b": ["So.", "B."]}
    row = {name: json.dumps(value) for name, value in texts.items()}
    example = Arena().example({**row, "winner_model_a": votes[0], "winner_model_b": votes[1]}, "f:1")
    assert ([turn.content for turn in example.turns], example.chosen) == (["Why?", "So.", "And?"], "A.")
    example = Arena().example({**texts, "winner_model_a": votes[1], "winner_model_b": votes[0]}, "f:1")
    assert (example.chosen, example.rejected) == ("B.", "A.")
    with pytest.raises(UserError, match="f:1: prompt and response must have as many turns, got 2 and 1"):
        Arena().example({**row, "response_b": '["So."]', "winner_model_a": 1, "winner_model_b": 0}, "f:1")
    with pytest.raises(RowRejected, match="a message is empty"):
        Arena().example({**row, "response_b": '["So.", null]', "winner_model_a": 1, "winner_model_b": 0}, "f:1")
