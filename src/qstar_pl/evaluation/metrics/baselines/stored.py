"""Answers of a file as the baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from qstar_pl.data.adapters.adapter import Adapter
from qstar_pl.data.adapters.auto import Auto
from qstar_pl.data.adapters.dialogue import with_answer
from qstar_pl.data.adapters.rows import convert
from qstar_pl.data.reading import Row, Unreadable, read_rows
from qstar_pl.data.reading.rejected import RowError, RowRejected
from qstar_pl.data.text.keys import prompt_key
from qstar_pl.data.text.templates import dialogue_prompt
from qstar_pl.errors import UserError, argument_called
from qstar_pl.evaluation.metrics.baselines.baseline import Baseline
from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.needs import Facts

MESSAGES = "messages"


@dataclass(frozen=True)
class StoredAnswers(Baseline):
    """Answers that are in a file already, found by their prompts.

    A prompt with several answers in the file compares the policy's first answer with the first of them, the second with
    the second, and begins again behind the last.
    """

    path: str
    """A file that `--data.path` takes: rows of `qstar generate`, or any rows with a prompt and an answer."""
    adapter: Adapter | None = None
    """How a row becomes a prompt and an answer (`chosen`); by default `messages`, the last one the answer, else what
    `Auto` finds."""

    @cached_property
    def answers(self) -> Mapping[int, tuple[str, ...]]:
        """Key of the prompt → its answers, in the order of the file.

        Raises:
            UserError: if a row has no answer, or the file none.

        """
        found: dict[int, tuple[str, ...]] = {}
        with argument_called("baseline.path", inside="path"):
            rows = read_rows(self.path)
            first = next(rows, None)
            if first is None:
                raise UserError(f"path must hold answers, got no row in {self.path}")
            adapter = self._adapter(first[1])
            for where, row in chain([first], rows):
                key, answer = _answer(adapter, where, row)
                found[key] = (*found.get(key, ()), answer)
        return found

    def missing(self, facts: Facts) -> str | None:
        """See `Baseline.missing`."""
        if facts.examples is None or any(example.key in self.answers for example in facts.examples):
            return None
        return f"answers to the prompts of {facts.where} to compare with, got {len(self.answers)} others in {self.path}"

    def texts(self, answers: Answers) -> list[str | None]:
        """See `Baseline.texts`."""
        met: Counter[int] = Counter()
        found: list[str | None] = []
        for example in answers.examples:
            own = self.answers.get(example.key)
            found.append(None if own is None else own[met[example.key] % len(own)])
            met[example.key] += 1
        return found

    def _adapter(self, row: Row | Unreadable) -> Adapter | None:
        """Return what reads the rows; None: they are messages, beside which the data's own columns do not count."""
        if self.adapter is not None:
            return self.adapter
        if not isinstance(row, Unreadable) and MESSAGES in row:
            return None
        return Auto().resolve(self.path, None)


def _answer(adapter: Adapter | None, where: str, row: Row | Unreadable) -> tuple[int, str]:
    """Return the key of a row's prompt, and its answer.

    Raises:
        UserError: if it has none.

    """
    try:
        key, answer = _of_messages(row, where) if adapter is None else _converted(adapter, where, row)
    except RowRejected as reason:
        raise UserError(f"path must hold an answer in every row, got {where}: {reason}") from reason
    except RowError as error:
        raise UserError(f"path must hold an answer in every row, got {error}") from error
    if answer is None:
        raise UserError(f"path must hold an answer in every row, got none ({where})")
    return key, answer


def _converted(adapter: Adapter, where: str, row: Row | Unreadable) -> tuple[int, str | None]:
    example = convert(adapter, where, row)
    return example.key, example.chosen


def _of_messages(row: Row | Unreadable, where: str) -> tuple[int, str | None]:
    if isinstance(row, Unreadable):
        raise RowRejected(row.reason)
    turns, answer = with_answer(row.get(MESSAGES), MESSAGES, where)
    return prompt_key(dialogue_prompt(turns)), answer
