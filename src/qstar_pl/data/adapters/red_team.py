"""Anthropic's red-team attempts: dialogues in which people try to make a model say something harmful."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.columns import texts
from qstar_pl.data.adapters.examples import dialogue_example
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.data.adapters.transcript import is_transcript, transcript
from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.types import Example

_KEPT = ("rating", "min_harmlessness_score_transcript", "task_description")


@dataclass(frozen=True)
class RedTeam(Adapter):
    """Rows with a `transcript` "Human: … Assistant: …". All up to the last human turn is the prompt; no answer.

    What the attacked model said last is no demonstration: its harmlessness is what the attempt is about. `metadata`
    holds the attacker's `rating` of success, the score of harmlessness, and the description of the attempt.
    """

    def example(self, row: Row, where: str) -> Example:
        """Convert one row; see the class."""
        (text,) = texts(row, ("transcript",), where, type(self).__name__)
        if not is_transcript(text):
            raise RowRejected("the transcript has no turns of Human and Assistant")
        turns, _ = transcript(text)
        kept = {name: row[name] for name in _KEPT if name in row}
        return dialogue_example(turns, None, None, {"source": where, **kept})

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        kept = ", ".join(name for name in _KEPT if name in row)
        return {"prompt": "transcript, up to its last human turn"} | ({"metadata": kept} if kept else {})

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        return ("transcript", *_KEPT)

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim transcripts."""
        fits = table.share("transcript", is_transcript, Kind.TEXT) > 0.5
        return Claim(Confidence.DATASET, cls()) if fits else None
