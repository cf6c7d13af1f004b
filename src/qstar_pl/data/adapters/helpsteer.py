"""NVIDIA's HelpSteer: answers with ratings, and pairs of answers with the strength of a preference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.answers import answered, prompt_turns
from qstar_pl.data.adapters.columns import need, number, texts
from qstar_pl.data.adapters.comparison import Comparison, Duel
from qstar_pl.data.adapters.examples import dialogue_example
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.types import Example, Turn

RATINGS = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
_RESPONSES = (("response1", "response2"), ("response_1", "response_2"))
_STRENGTHS = ("overall_preference", "preference_strength")
_TURN = "<extra_id_1>"


def helpsteer_prompt(value: Any, name: str, where: str) -> tuple[Turn, ...]:
    """Return the turns of a prompt in which "<extra_id_1>Assistant\\n" and "<extra_id_1>User\\n" mark later turns.

    Raises:
        RowError: if it is neither text nor messages.
        RowRejected: if it is empty, or its turns do not alternate.

    """
    if value in (None, "", []):
        raise RowRejected("the prompt is empty")
    # The first turn has no marker of its own.
    marked = isinstance(value, str) and _TURN in value and not value.startswith(_TURN)
    return prompt_turns(f"{_TURN}User\n{value}" if marked else value, name, where)


@dataclass(frozen=True)
class HelpSteer(Adapter):
    """Rows with `prompt`, `response` and ratings from 0 to 4 (HelpSteer, HelpSteer2).

    The response is the demonstration where its helpfulness is at least `min_helpfulness`; else only the prompt is used.
    `metadata` holds the five ratings. For pairs, read the dataset's preferences with `HelpSteerPreference`.
    """

    min_helpfulness: float = 3
    """Lowest helpfulness of a demonstration."""

    def example(self, row: Row, where: str) -> Example:
        """Convert one row; see the class."""
        need(row, ("prompt", "response", "helpfulness"), where, type(self).__name__)
        prompt = helpsteer_prompt(row["prompt"], "prompt", where)
        turns, chosen = answered(prompt, row["response"], "response", where)
        ratings = {name: row[name] for name in RATINGS if name in row}
        good = number(row["helpfulness"], "helpfulness", where) >= self.min_helpfulness
        return dialogue_example(turns, chosen if good else None, None, {"source": where, **ratings})

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        ratings = ", ".join(name for name in RATINGS if name in row)
        good = f"helpfulness ≥ {self.min_helpfulness:g}"
        return {"prompt": "prompt", "chosen": "response", "good if": good, "metadata": ratings}

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        return ("prompt", "response", *RATINGS)

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim its own columns."""
        fits = table.holds(Kind.TEXT, Kind.DIALOGUE, of=("prompt",)) and table.holds(of=("response", *RATINGS))
        return Claim(Confidence.DATASET, cls()) if fits else None


@dataclass(frozen=True)
class HelpSteerPreference(Comparison):
    """Rows with two responses and a preference from −3 (the first is much better) to 3 (the second is); 0 is a tie.

    HelpSteer3: `context` (messages), `response1`, `response2`, `overall_preference`. HelpSteer2's preferences:
    `prompt`, `response_1`, `response_2`, `preference_strength`. `metadata["margin"]` is the strength of the preference.
    """

    def prompt(self, row: Row, where: str) -> tuple[Turn, ...]:
        """Return the context or the prompt."""
        name = "context" if "context" in row else "prompt"
        need(row, (name,), where, type(self).__name__)
        return helpsteer_prompt(row[name], name, where)

    def duel(self, row: Row, where: str) -> Duel:
        """Take the preference."""
        responses, strength = _columns(row)
        first, second = texts(row, responses, where, type(self).__name__)
        need(row, (strength,), where, type(self).__name__)
        # The dataset's sign is the other way round: below 0, the first response is better.
        return Duel(first, second, -number(row[strength], strength, where))

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        (first, second), strength = _columns(row)
        prompt = "context" if "context" in row else "prompt"
        return {"prompt": prompt, "chosen": f"{first} or {second}, by {strength}", "rejected": "the other"}

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim its own columns."""
        responses, strength = _columns(dict.fromkeys(table.columns))
        prompt = table.first(("context", "prompt"), Kind.TEXT, Kind.DIALOGUE)
        fits = prompt is not None and table.holds(Kind.TEXT, of=responses) and table.holds(of=(strength,))
        return Claim(Confidence.DATASET, cls()) if fits else None


def _columns(row: Row) -> tuple[tuple[str, str], str]:
    responses = next((names for names in _RESPONSES if names[0] in row), _RESPONSES[0])
    return responses, next((name for name in _STRENGTHS if name in row), _STRENGTHS[0])
