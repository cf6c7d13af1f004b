"""Questions with several answers to choose from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.columns import as_number, as_text, need, text_list
from qstar_pl.data.adapters.single_turn import single_turn
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.data.reading.rejected import RowError, RowRejected
from qstar_pl.types import Example

if TYPE_CHECKING:
    from qstar_pl.rewards.reward import Reward

QUESTIONS = ("question", "question_stem", "ctx")
CHOICES = ("choices", "options", "endings")
KEYS = ("answerKey", "answer", "correct", "label")
_OWN_LABEL = re.compile(r"\s*\(?([A-Z])[).:]\s*")
CONTEXTS = ("context", "article", "passage")


@dataclass(frozen=True)
class MultipleChoice(Adapter):
    """Rows with a question, its choices and the right one (MMLU, ARC, CommonsenseQA, OpenBookQA, RACE, HellaSwag).

    Choices are a list of texts, named A, B, … (which AQuA's, "A)21", begin with themselves), or an object with `text`
    and `label`. The right one is named by its label, or by its place, beginning with 0. The prompt is the context,
    where there is one, the question, and a line for each choice: "A. …". The demonstration is the label, which is
    `metadata["final_answer"]` too; `metadata["choices"]` holds the choices by label. A row without a key is a prompt
    only.
    """

    def default_reward(self) -> Reward:
        """See `Adapter.default_reward`."""
        from qstar_pl.rewards.final_answer import FinalAnswerReward

        return FinalAnswerReward()

    def example(self, row: Row, where: str) -> Example:
        """Convert one row; see the class."""
        question, choices, key, context = _columns(row)
        need(row, (question, choices), where, type(self).__name__)
        asked = as_text(row[question], question, where).strip()
        named = _named(row[choices], choices, where)
        about = "" if context is None or row[context] is None else as_text(row[context], context, where).strip()
        lines = "\n".join(f"{label}. {text}" for label, text in named.items())
        prompt = "\n\n".join(part for part in (about, f"{asked}\n{lines}") if part) if asked else ""
        right = None if key is None else _right(row[key], list(named), key, where)
        metadata = {"choices": named, "source": where}
        return single_turn(prompt, right, None, metadata if right is None else {**metadata, "final_answer": right})

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        question, choices, key, context = _columns(row)
        prompt = " + ".join(name for name in (context, question, choices) if name is not None)
        return {"prompt": prompt} if key is None else {"prompt": prompt, "chosen": key, "final_answer": key}

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        return [name for name in _columns(row) if name is not None]

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim questions with a list of choices."""
        question, choices, key, _ = _columns(dict.fromkeys(table.columns))
        fits = key is not None and table.holds(Kind.TEXT, of=(question,)) and table.share(choices, _is_choices) > 0.5
        return Claim(Confidence.DATASET, cls()) if fits else None


def _columns(row: Row) -> tuple[str, str, str | None, str | None]:
    """Return the columns of the question, the choices, the key and the context."""
    question, choices = (next((one for one in names if one in row), names[0]) for names in (QUESTIONS, CHOICES))
    key, context = (next((one for one in names if one in row), None) for names in (KEYS, CONTEXTS))
    return question, choices, key, context


def _is_choices(value: Any) -> bool:
    texts = value.get("text") if isinstance(value, Mapping) else value
    return isinstance(texts, list) and len(texts) > 1 and all(isinstance(text, str) for text in texts)


def _named(value: Any, name: str, where: str) -> dict[str, str]:
    if isinstance(value, Mapping):
        texts, labels = (text_list(value.get(part), f"{name}.{part}", where) for part in ("text", "label"))
    else:
        texts = text_list(value, name, where)
        labels = list(ascii_uppercase[: len(texts)])
        own = [_OWN_LABEL.match(text) for text in texts]
        # Labels in the texts count only if they are A, B, … throughout: "A) " may begin one text by chance.
        if [match and match[1] for match in own] == labels:
            texts = [text[match.end() :] for text, match in zip(texts, own, strict=True) if match]
    if len(labels) != len(texts) or len(texts) < 2:
        raise RowRejected("there are no choices, or not a label for each")
    return dict(zip(labels, (text.strip() for text in texts), strict=True))


def _right(value: Any, labels: Sequence[str], name: str, where: str) -> str | None:
    """Return the label of the right choice, None where the dataset does not tell (test splits: empty, −1)."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.strip() in labels:
        return value.strip()
    if (number := as_number(value)) == -1:
        return None
    # Labels that are numbers themselves (ARC has 1 to 4) are meant before places: the key 2, 2.0 or "2" is the label 2.
    if number is not None and (own := [label for label in labels if as_number(label) == number]):
        return own[0]
    if number is None or number not in range(len(labels)):  # by value: 1.0 is in the range, 1.5 is not
        raise RowError(where, f"{name} must be one of the choices, got {value!r}", f"{name} must be one of the choices")
    return labels[int(number)]
