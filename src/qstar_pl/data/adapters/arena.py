"""Chatbot Arena: two models' answers and a person's vote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qstar_pl.data.adapters.adapter import Row
from qstar_pl.data.adapters.columns import as_number, need, text_list
from qstar_pl.data.adapters.comparison import Comparison, Duel
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.data.reading.rejected import RowError, RowRejected
from qstar_pl.types import Turn

_DIALOGUES = ("conversation_a", "conversation_b")
_TEXTS = ("prompt", "response_a", "response_b")
_VOTES = ("winner_model_a", "winner_model_b")
_LEADS = {"model_a": 1.0, "a": 1.0, "model_b": -1.0, "b": -1.0}


@dataclass(frozen=True)
class Arena(Comparison):
    """Rows of Chatbot Arena in either form; the vote's winner is `chosen`.

    Whole dialogues `conversation_a`, `conversation_b` and `winner` (model_a, model_b; anything else is a tie), as in
    chatbot_arena_conversations, arena-human-preference-100k and -140k, mt_bench_human_judgments. Or `prompt`,
    `response_a`, `response_b`, each JSON text of a list with one text a turn, and `winner_model_a`, `winner_model_b`
    with 1 for the winner, as in lmsys-arena-human-preference-55k. Dialogues whose earlier answers differ, which are
    those of several turns, do not share a prompt: they are counted and left out.
    """

    def prompt(self, row: Row, where: str) -> tuple[Turn, ...]:
        """Return nothing: both sides are whole dialogues."""
        need(row, (*_DIALOGUES, "winner") if _DIALOGUES[0] in row else _TEXTS + _VOTES, where, type(self).__name__)
        return ()

    def duel(self, row: Row, where: str) -> Duel:
        """Take the vote."""
        models = {side: row.get(f"model_{side}") for side in "ab"}
        if _DIALOGUES[0] in row:
            lead = _LEADS.get(str(row["winner"]).strip().lower(), 0.0)
            first, second = (row[name] for name in _DIALOGUES)
        else:
            # Votes are 0 and 1, or false and true, which `as_number` does not take for numbers.
            a, b = (as_number(int(row[name]) if isinstance(row[name], bool) else row[name]) or 0.0 for name in _VOTES)
            lead = a - b
            asked = _said(row["prompt"], "prompt", where)
            first, second = (_woven(asked, _said(row[name], name, where), where) for name in _TEXTS[1:])
        winner, loser = ("a", "b") if lead > 0 else ("b", "a")
        return Duel(first, second, lead, {"model_chosen": models[winner], "model_rejected": models[loser]})

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        if _DIALOGUES[0] in row:
            last = "the last turn of conversation_a or conversation_b, by winner"
            found = {"prompt": "conversation_a, conversation_b", "chosen": last, "rejected": "the other"}
        else:
            answers = "response_a or response_b, by winner_model_a, winner_model_b"
            found = {"prompt": "prompt", "chosen": answers, "rejected": "the other"}
        models = [name for name in ("model_a", "model_b") if name in row]
        return found | ({"metadata": ", ".join(models)} if models else {})

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim its own columns, in either form."""
        dialogues = table.holds(Kind.DIALOGUE, of=_DIALOGUES) and table.holds(of=("winner",))
        listed = table.holds(of=(*_TEXTS, *_VOTES))
        return Claim(Confidence.DATASET, cls()) if dialogues or listed else None


def _said(value: Any, name: str, where: str) -> list[str]:
    """Return the texts of one side, from a list, JSON text of one, or a plain text."""
    if isinstance(value, str):
        try:
            read = json.loads(value)
        except ValueError:
            return [value]
        value = read if isinstance(read, list) else [value]
    if isinstance(value, list) and any(item is None for item in value):
        raise RowRejected("a message is empty")
    return text_list(value, name, where)


def _woven(asked: list[str], said: list[str], where: str) -> list[dict[str, str]]:
    if len(asked) != len(said):
        raise RowError(where, f"prompt and response must have as many turns, got {len(asked)} and {len(said)}")
    turns = zip(asked, said, strict=True)
    return [
        {"role": role, "content": text}
        for question, answer in turns
        for role, text in (("user", question), ("assistant", answer))
    ]
