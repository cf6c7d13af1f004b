"""Anthropic's HH-RLHF: two whole dialogues per row, which share everything but the last answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qstar_pl.data.adapters.adapter import Adapter, Row, RowRejected
from qstar_pl.data.adapters.columns import texts
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.data.adapters.transcript import is_transcript
from qstar_pl.data.text.keys import prompt_key
from qstar_pl.data.text.templates import dialogue_prompt
from qstar_pl.types import Example, Turn

_ANSWER = "\n\nAssistant:"
_MARKER = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


@dataclass(frozen=True)
class HHRLHF(Adapter):
    """Rows with `chosen` and `rejected`, both in the form "\\n\\nHuman: …\\n\\nAssistant: …".

    The prompt is everything before the last "\\n\\nAssistant:", the answers are what follows it, without surrounding
    white space. A row is counted and left out, in this order of reasons, if the two sides' prompts differ, the sides
    are equal, an answer is empty, or the turns of the prompt do not alternate, beginning and ending with Human's.
    """

    def example(self, row: Row, where: str) -> Example:
        """Split both dialogues at the last answer; see the class."""
        chosen, rejected = texts(row, ("chosen", "rejected"), where, type(self).__name__)
        prompt, chosen_marker, chosen_answer = chosen.rpartition(_ANSWER)
        other_prompt, rejected_marker, rejected_answer = rejected.rpartition(_ANSWER)
        if not chosen_marker or not rejected_marker:
            raise RowRejected("a side has no assistant turn")
        if prompt != other_prompt:
            raise RowRejected("the prompts of chosen and rejected differ")
        chosen_answer, rejected_answer = chosen_answer.strip(), rejected_answer.strip()
        if chosen_answer == rejected_answer:
            raise RowRejected("chosen equals rejected")
        if not chosen_answer or not rejected_answer:
            raise RowRejected("an answer is empty")
        turns = _turns(prompt)
        return Example(prompt_key(dialogue_prompt(turns)), turns, chosen_answer, rejected_answer, {"source": where})

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        return {"prompt": "chosen, up to its last answer", "chosen": "chosen", "rejected": "rejected"}

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        return ("chosen", "rejected")

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim texts in `chosen` and `rejected` that are whole transcripts."""
        fits = table.holds(Kind.TEXT, of=("chosen", "rejected"))
        fits = fits and table.share("chosen", is_transcript, Kind.TEXT) > 0.5
        return Claim(Confidence.WHOLE_PAIRS, cls()) if fits else None


def _turns(prompt: str) -> tuple[Turn, ...]:
    # re.split with one group gives [text before the first marker, role, content, role, content, …].
    before, *parts = _MARKER.split(prompt)
    turns = tuple(Turn(_ROLES[role], content.strip()) for role, content in zip(parts[::2], parts[1::2], strict=True))
    wanted = ["user" if number % 2 == 0 else "assistant" for number in range(len(turns))]
    alternate = [turn.role for turn in turns] == wanted and len(turns) % 2 == 1
    if before.strip() or not alternate or not all(turn.content for turn in turns):
        raise RowRejected("the turns do not alternate between Human and Assistant, or one is empty")
    return turns
