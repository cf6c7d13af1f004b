"""Problems with tests and sampled programs, as the files that people exchange hold them."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qstar_pl.errors import UserError
from qstar_pl.execution import CheckedFunction, Problem, problem_from_metadata

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Sample:
    """One sampled program."""

    problem: Problem
    program: str
    """Whole."""
    sample_idx: int
    """Counted per problem where the file does not say it."""


def read_problems(path: Path) -> dict[str, Problem]:
    """Return the problems of a file by their key; a row of APPS without tests is left out.

    Args:
        path: JSON lines, also gzipped: HumanEval's rows (`task_id`, `prompt`, `entry_point`, `test`) or APPS's
            (`problem_id`, `input_output`).

    Raises:
        UserError: if the file cannot be read, has other rows, the same problem twice, or none.

    """
    problems: dict[str, Problem] = {}
    for where, row in read_lines(path):
        if "entry_point" in row and "test" in row:
            task = "humaneval"
        elif "input_output" in row:
            if not row["input_output"]:
                continue
            task = "apps"
        else:
            raise UserError(f"problems must be rows of HumanEval or APPS, got one with {sorted(row)} ({where})")
        problem = problem_from_metadata({**row, "task": task})
        if problem.key in problems:
            raise UserError(f"problems must have each problem once, got {problem.key} again ({where})")
        problems[problem.key] = problem
    if not problems:
        raise UserError(f"problems must hold at least one row with tests, got {path}")
    return problems


def read_samples(path: Path, problems: Mapping[str, Problem]) -> list[Sample]:
    """Return the sampled programs of a file.

    Args:
        path: JSON lines, also gzipped: rows of `qstar generate` (`messages`, the last one the answer, `sample_idx`, and
            the data set's own `task_id` or `problem_id`), or the form of OpenAI's human-eval (`task_id`,
            `completion`, which continues the prompt as it stands).
        problems: what the rows refer to.

    Raises:
        UserError: if the file cannot be read, or a row is in no such form or names an unknown problem.

    """
    seen: dict[str, int] = {}
    samples = []
    for where, row in read_lines(path):
        key = str(row.get("task_id", row.get("problem_id")))
        if key not in problems:
            raise UserError(f"samples must name a task_id or problem_id of the problems, got {key} ({where})")
        problem = problems[key]
        number = seen.get(key, 0)
        seen[key] = number + 1
        samples.append(Sample(problem, _program(problem, row, where), _index(row.get("sample_idx"), number)))
    if not samples:
        raise UserError(f"samples must hold at least one row, got {path}")
    return samples


def _index(given: Any, counted: int) -> int:
    return given if isinstance(given, int) else counted


def _program(problem: Problem, row: Row, where: str) -> str:
    if isinstance(completion := row.get("completion"), str):
        return problem.prompt + completion if isinstance(problem, CheckedFunction) else completion
    messages = row.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[-1], Mapping):
        last = messages[-1]
        if last.get("role") == "assistant" and isinstance(last.get("content"), str):
            return problem.program(last["content"])
    raise UserError(f"samples must have a completion, or messages that end with the assistant's, got {where}")


def read_lines(path: Path) -> Iterator[tuple[str, Row]]:
    """Yield ("file:line", object) for each line of a JSON-lines file that is not empty.

    Raises:
        UserError: if there is no such file, or a line is no JSON object.

    """
    if not path.is_file():
        raise UserError(f"path must be a file of JSON lines, got {path}, which does not exist")
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        try:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}:{number}", _object(line, f"{path}:{number}")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UserError(f"path must be a whole gzip file, got {path}: {error}") from error


def _object(line: bytes, where: str) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"a line must be a JSON object, got {where}: {error}") from error
    if not isinstance(row, dict):
        raise UserError(f"a line must be a JSON object, got {where}")
    return row
