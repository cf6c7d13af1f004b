"""APPS: programming problems, tested by a program's input and output or by calls of a function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.columns import json_text, mapping, need, text_list, texts
from qstar_pl.data.adapters.single_turn import single_turn
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.data.reading.rejected import RowError, RowRejected
from qstar_pl.sandbox.apps_cases import UnusableTests, apps_cases, parsed_json
from qstar_pl.types import Example

if TYPE_CHECKING:
    from qstar_pl.rewards.reward import Reward

_STDIN = "Use Standard Input format"
_CALL = "Use Call-Based format"


@dataclass(frozen=True)
class APPS(Adapter):
    """Rows with `problem_id`, `question` and `input_output`, and perhaps `solutions`, `starter_code`, `difficulty`.

    `input_output` is JSON text with `inputs`, `outputs` and, for tests that call a function, `fn_name`. `solutions` is
    a list of programs or JSON text of one. The user's turn has the form of Hendrycks et al. 2021 (arXiv 2105.09938):
    "QUESTION:\\n…\\n\\n", the starter code where there is one, "Use Standard Input format" or "Use Call-Based format",
    "ANSWER:". The first solution is the answer; a row without solutions has none.

    `metadata` holds `task` = "apps", `problem_id`, `input_output` (as it stands), `starter_code`, `solutions` (a list),
    `fn_name` (None: standard input) and `difficulty`. A row without tests, or with another number of outputs than of
    inputs, is counted and left out.
    """

    def default_reward(self) -> Reward:
        """See `Adapter.default_reward`."""
        from qstar_pl.rewards.execution import ExecutionReward

        return ExecutionReward()

    def example(self, row: Row, where: str) -> Example:
        """Convert one row; see the class."""
        question, tests = texts(row, ("question", "input_output"), where, type(self).__name__)
        need(row, ("problem_id",), where, type(self).__name__)
        (starter,) = texts({"starter_code": row.get("starter_code") or ""}, ("starter_code",), where, "APPS")
        function = _function(tests, where)
        solutions = _solutions(row.get("solutions"), where)
        metadata = {
            "task": "apps",
            "source": where,
            "problem_id": row["problem_id"],
            "input_output": tests,
            "starter_code": starter,
            "solutions": solutions,
            "fn_name": function,
            "difficulty": row.get("difficulty"),
        }
        # Without a question the prompt stays empty, so that `single_turn` leaves the row out.
        prompt = _prompt(question, starter, _STDIN if function is None else _CALL) if question.strip() else ""
        return single_turn(prompt, next(iter(solutions), None), None, metadata)

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        prompt = "question + starter_code" if row.get("starter_code") else "question"
        found = {"prompt": prompt, "chosen": "solutions[0]", "tests": "input_output"}
        return found if row.get("solutions") else {role: found[role] for role in ("prompt", "tests")}

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        return ("problem_id", "question", "input_output", "starter_code", "solutions", "difficulty")

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim questions with tests."""
        fits = table.holds(Kind.TEXT, of=("question", "input_output")) and table.holds(of=("problem_id",))
        return Claim(Confidence.DATASET, cls()) if fits else None


def _prompt(question: str, starter: str, form: str) -> str:
    code = f"{starter}\n\n" if starter.strip() else ""
    return f"QUESTION:\n{question.strip()}\n\n{code}{form}\n\nANSWER:\n"


def _function(tests: str, where: str) -> str | None:
    """Return the name of the function that the tests call; None if they are input and output of a program."""
    try:
        value = parsed_json(tests) if tests.strip() else None
    except ValueError as error:
        raise RowError(where, f"input_output must be JSON text: {error}", "input_output must be JSON text") from error
    try:
        # As rewards and `qstar pass-at-k` will read them: what is used here can be judged there.
        return apps_cases(value if value is None else mapping(value, "input_output", where)).function
    except UnusableTests as reason:
        raise RowRejected(str(reason)) from reason
    except (ValueError, KeyError) as error:
        rule = "input_output must hold inputs and outputs"
        raise RowError(where, f"{rule}: {error}", rule) from error


def _solutions(value: Any, where: str) -> list[str]:
    if value is None or value == "":
        return []
    programs = json_text(value, "solutions", where) if isinstance(value, str) else value
    return [program for program in text_list(programs, "solutions", where) if program.strip()]
