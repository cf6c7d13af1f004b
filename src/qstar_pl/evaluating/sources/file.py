"""Answers that are in a file already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qstar_pl.data.adapters.dialogue import dialogue, parted, with_answer
from qstar_pl.data.reading import Row, Unreadable, read_rows
from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.errors import UserError, argument_called
from qstar_pl.evaluating.prompts import Prompts, same_text
from qstar_pl.evaluating.sources.source import Answered, Answering, AnswerSource
from qstar_pl.hashing import file_digest
from qstar_pl.sandbox import CheckedFunction, SandboxError, problem_from_metadata
from qstar_pl.types import Example, Turn

MESSAGES, NUMBER = "messages", "sample_idx"
"""Columns of rows of `qstar generate`: the dialogue with its answer, and the row of the data."""
IDS = ("task_id", "problem_id")
"""Columns that name a problem with tests, where `id_field` is not given."""
COMPLETION = "completion"
"""OpenAI's human-eval: continues the prompt as it stands."""
ANSWERS = ("answer", "output", "response", "prediction", "generation", COMPLETION)
"""Columns that hold the answer, where `answer_field` is not given; the first that is there."""
PROMPTS = ("prompt", "instruction", "question", "problem", "input", "query")
"""Columns that hold the prompt, where `prompt_field` is not given; the first that is there."""


@dataclass(frozen=True)
class AnswersFile(AnswerSource):
    """Rows of a file, each with a prompt (or the id of one) and its answer.

    Read as they are: rows of `qstar generate` (`messages`, the last one the answer), OpenAI's human-eval (`task_id`,
    `completion`, which continues the prompt), and rows whose columns have usual names. A list of texts as the answer,
    or several rows with one prompt, are several answers to it.
    """

    path: str
    """A .jsonl, .json, .csv or .tsv file (also .gz), .parquet or .arrow."""
    prompt_field: str | None = None
    """Column of the prompt: its text, or messages; None: `messages`, or the first usual name that is there."""
    answer_field: str | None = None
    """Column of the answer: a text, or a list of texts; None: `messages`, or the first usual name that is there."""
    id_field: str | None = None
    """Column that the data have too, with the same values, by which rows are found instead of by their prompts."""

    def __post_init__(self) -> None:
        if self.prompt_field is not None and self.id_field is not None:
            raise UserError(f"prompt_field must be left out where id_field is given, got {self.prompt_field}")

    def answers(self, asked: Answering) -> Answered:
        """See `AnswerSource.answers`."""
        prompts, argument = asked.prompts, asked.argument
        found: dict[int, list[str]] = {}
        met: dict[tuple[int, ...], int] = {}
        unknown: list[str] = []
        rows = ignored = 0
        with argument_called(argument, inside="path"):
            for where, row in read_rows(self.path):
                rows += 1
                places = self._places(row, prompts, where, argument)
                if not places:
                    unknown.append(where)
                    continue
                # Of rows of the data with the same prompt, each gets its own share, in turn.
                place = places[met.get(places, 0) % len(places)]
                met[places] = met.get(places, 0) + 1
                example = prompts.evaluated(place)
                texts = self._texts(row, where, argument, example)
                if example is None:
                    ignored += len(texts)
                else:
                    found.setdefault(place, []).extend(texts)
        if unknown:
            start = " ".join(prompts.first_text.split())[:80]
            raise UserError(
                f"{argument} must answer prompts of the data, got {len(unknown)} of {rows} rows with others, first "
                f"{unknown[0]}, where the data's first prompt is {start!r}; "
                f"--{argument}=AnswersFile with --{argument}.prompt_field or .id_field says how they are found"
            )
        if not found:
            raise UserError(
                f"{argument} must hold an answer to a prompt that is evaluated, got {rows} rows in {self.path}"
            )
        facts = {"file": self.path, "digest": file_digest(Path(self.path).expanduser(), 8), "rows": rows}
        return Answered({place: tuple(found[place]) for place in sorted(found)}, facts, ignored)

    def _places(self, row: Row | Unreadable, prompts: Prompts, where: str, argument: str) -> tuple[int, ...]:
        """Return the rows of the data that a row answers."""
        if isinstance(row, Unreadable):
            raise UserError(f"{argument}: {where}: {row.reason}")
        if (name := self._id(row)) is not None:
            return prompts.with_value(name, _of(row, name, where, argument))
        if self.prompt_field is None and MESSAGES in row:
            text = same_text(_turns(row[MESSAGES], where, argument)[0])
        else:
            name = self.prompt_field or _first(PROMPTS, row, "prompt", where, argument)
            value = _of(row, name, where, argument)
            if isinstance(value, str):
                return prompts.with_text(value) or prompts.with_value(name, value)
            text = same_text(_turns(value, where, argument, answered=False)[0])
        places, number = prompts.with_text(text), row.get(NUMBER)
        return (number,) if isinstance(number, int) and number in places else places

    def _id(self, row: Row) -> str | None:
        if self.id_field is not None or self.prompt_field is not None:
            return self.id_field
        return next((name for name in IDS if name in row), None) if MESSAGES not in row else None

    def _texts(self, row: Row | Unreadable, where: str, argument: str, example: Example | None) -> list[str]:
        assert not isinstance(row, Unreadable)  # `_places` comes first
        if self.answer_field is None and MESSAGES in row:
            answer = _turns(row[MESSAGES], where, argument)[1]
            assert answer is not None
            return [answer]
        name = self.answer_field or _first(ANSWERS, row, "answer", where, argument)
        value = _of(row, name, where, argument)
        texts = value if isinstance(value, list) else [value]
        if not texts or not all(isinstance(text, str) for text in texts):
            kinds = ", ".join(sorted({type(text).__name__ for text in texts})) or "an empty list"
            raise UserError(f"{argument}: {name} must be a text, or a list of texts, got {kinds} ({where})")
        if name == COMPLETION and self.answer_field is None and example is not None:
            return [_program(example, text) for text in texts]
        return list(texts)


def _program(example: Example, completion: str) -> str:
    """Return the program that a completion is the end of, if the prompt is the beginning of one."""
    try:
        problem = problem_from_metadata(example.metadata)
    except SandboxError:
        return completion
    return problem.prompt + completion if isinstance(problem, CheckedFunction) else completion


def _of(row: Mapping[str, Any], name: str, where: str, argument: str) -> Any:
    if name not in row:
        there = ", ".join(sorted(map(str, row))) or "none"
        raise UserError(f"{argument} must have the column {name} in every row, got {there} ({where})")
    return row[name]


def _first(names: tuple[str, ...], row: Row, role: str, where: str, argument: str) -> str:
    found = next((name for name in names if name in row), None)
    if found is None:
        there = ", ".join(sorted(map(str, row))) or "none"
        raise UserError(
            f"{argument} must have messages, or a column for the {role} ({', '.join(names)}); "
            f"--{argument}=AnswersFile --{argument}.{role}_field names another, got {there} ({where})"
        )
    return found


def _turns(value: Any, where: str, argument: str, answered: bool = True) -> tuple[tuple[Turn, ...], str | None]:
    """Return the prompt's turns and the answer of a list of messages."""
    try:
        if answered:
            prompt, answer = with_answer(value, MESSAGES, where)
        else:
            prompt, answer = parted(dialogue(value, MESSAGES, where))
    except (RowRejected, ValueError) as error:
        raise UserError(f"{argument}: messages must be a dialogue, got {where}: {error}") from error
    if answered and answer is None:
        raise UserError(f"{argument}: messages must end with the assistant's answer, got {where}")
    return prompt, answer
