"""Problems with tests, and how a program is judged by them."""

from __future__ import annotations

import ast
import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from qstar_pl.sandbox import codec
from qstar_pl.sandbox.apps_cases import apps_cases, parsed_json
from qstar_pl.sandbox.errors import SandboxError
from qstar_pl.sandbox.extraction import complete_function, function_program, script_program
from qstar_pl.sandbox.function_tests import judge_calls
from qstar_pl.sandbox.graph import pack_once
from qstar_pl.sandbox.limits import Limits
from qstar_pl.sandbox.sandbox import Sandbox
from qstar_pl.sandbox.script_tests import judge_script
from qstar_pl.sandbox.verdict import Outcome, Verdict

_APPS_IMPORTS = (
    "import sys, os, re, math, random, string, time, copy, datetime, json, heapq, bisect, operator\n"
    "import functools, itertools, collections\n"
    "from typing import *\nfrom math import *\nfrom heapq import *\nfrom bisect import *\nfrom string import *\n"
    "from operator import *\nfrom functools import *\nfrom itertools import *\nfrom collections import *\n"
)
"""What solutions to call-based rows expect to be there, as on the sites that they come from."""


@dataclass(frozen=True)
class Problem(ABC):
    """A task whose answers are programs."""

    key: str
    """The dataset's own id of the problem, as text."""
    references: tuple[str, ...]
    """Whole programs that solve it; may be empty."""

    @abstractmethod
    def program(self, answer: str) -> str:
        """Return the program in an answer: a chat-style one with a fenced block, or the bare code."""

    @abstractmethod
    def judge(self, program: str, sandbox: Sandbox, limits: Limits, *, every_test: bool = False) -> Verdict:
        """Run the tests on a program.

        Args:
            program: a whole one.
            sandbox: where it runs; no other thread may use it meanwhile.
            limits: of each run.
            every_test: go on after the first failure, for `Verdict.share`.

        Raises:
            SandboxLost: if the sandbox must be replaced and the program judged again.

        """


@lru_cache(1024)
def can_fail(test: str) -> bool:
    """Return whether tests hold a statement that can fail, apart from what the program raises.

    Tests too deeply nested to be looked into are taken to do so.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nodes = list(ast.walk(ast.parse(test)))
    except (RecursionError, MemoryError):
        return True
    for node in nodes:
        if isinstance(node, ast.Raise):
            return True
        if isinstance(node, ast.Assert) and not (isinstance(node.test, ast.Constant) and node.test.value):
            return True
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name.lower().startswith(("assert", "fail", "check_", "verify")):
                return True
    return False


@dataclass(frozen=True)
class CheckedFunction(Problem):
    """HumanEval: a prompt that ends inside a function, and `check(candidate)` that asserts."""

    prompt: str
    entry_point: str
    test: str

    def program(self, answer: str) -> str:
        """See `Problem.program`."""
        return complete_function(self.prompt, answer, self.entry_point)

    def judge(self, program: str, sandbox: Sandbox, limits: Limits, *, every_test: bool = False) -> Verdict:
        """See `Problem.judge`; only the process of the tests gets to see them.

        Whether a program passes is decided by its tests as they stand; its asserts are counted in a second run, where
        it has failed.
        """
        job = {
            "kind": "check",
            "prompt": self.prompt,
            "entry_point": self.entry_point,
            "test": self.test,
            "program": program,
            "before": "",
            "every_test": False,
        }
        verdict = judge_calls(job, sandbox, limits)
        if verdict.passed and not can_fail(self.test):
            return Verdict(Outcome.BROKEN_TESTS, "check(candidate) asserts nothing", 0, 1, verdict.seconds)
        if verdict.outcome in (Outcome.PASSED, Outcome.SYNTAX, Outcome.BROKEN_TESTS) or not every_test:
            return verdict
        counted = judge_calls(job | {"every_test": True}, sandbox, limits)
        seconds = verdict.seconds + counted.seconds
        return replace(verdict, passed_tests=counted.passed_tests, tests=counted.tests, seconds=seconds)


@dataclass(frozen=True)
class FunctionCases(Problem):
    """APPS, call-based: lists of arguments and what a function (or a method of `Solution`) returns for them."""

    function: str
    inputs: Sequence[Sequence[Any]]
    outputs: Sequence[Any]
    starter_code: str

    def program(self, answer: str) -> str:
        """See `Problem.program`."""
        return function_program(answer, self.function, self.starter_code)

    def judge(self, program: str, sandbox: Sandbox, limits: Limits, *, every_test: bool = False) -> Verdict:
        """See `Problem.judge`."""
        try:
            # Back from JSON, since the job is sent as JSON as a whole.
            inputs, outputs = (json.loads(pack_once(each)) for each in (self.inputs, self.outputs))
        except codec.CodecError as error:
            return Verdict(Outcome.BROKEN_TESTS, str(error), 0, 1, 0.0)
        job = {
            "kind": "cases",
            "entry_point": self.function,
            "inputs": inputs,
            "outputs": outputs,
            "program": program,
            "before": _APPS_IMPORTS,
            "every_test": every_test,
        }
        return judge_calls(job, sandbox, limits)


@dataclass(frozen=True)
class Script(Problem):
    """APPS, standard input: texts to read and texts to print."""

    tests: Sequence[tuple[str, str]]

    def program(self, answer: str) -> str:
        """See `Problem.program`."""
        return script_program(answer)

    def judge(self, program: str, sandbox: Sandbox, limits: Limits, *, every_test: bool = False) -> Verdict:
        """See `Problem.judge`."""
        return judge_script(program, self.tests, sandbox, limits, every_test=every_test)


def problem_from_metadata(metadata: Mapping[str, Any]) -> Problem:
    """Return the problem that an `Example.metadata` describes; its "task" says in which form.

    "humaneval": "task_id", "prompt", "entry_point", "test", and "canonical_solution" if known. "apps": "input_output"
    (JSON text, or what it holds), "problem_id", "starter_code", and "solutions" (a list of texts, or JSON text) if
    known.

    Raises:
        SandboxError: if the metadata has no such task, or lacks what it needs.

    """
    task = metadata.get("task")
    if task not in _MAKERS:
        raise SandboxError(f"metadata must have a task of programs with tests ({', '.join(_MAKERS)}), got {task!r}")
    try:
        return _MAKERS[task](metadata)
    except KeyError as error:
        raise SandboxError(
            f"metadata of a {task} problem must have {error.args[0]!r}, got {sorted(metadata)}"
        ) from error
    except (ValueError, TypeError) as error:
        raise SandboxError(
            f"metadata of a {task} problem must hold tests in its dataset's form, got {error}"
        ) from error


def _humaneval(metadata: Mapping[str, Any]) -> Problem:
    prompt, solution = metadata["prompt"], metadata.get("canonical_solution")
    return CheckedFunction(
        key=str(metadata.get("task_id", "")),
        references=() if solution is None else (prompt + solution,),
        prompt=prompt,
        entry_point=metadata["entry_point"],
        test=metadata["test"],
    )


def _apps(metadata: Mapping[str, Any]) -> Problem:
    cases = apps_cases(metadata["input_output"])
    references = tuple(parsed_json(metadata.get("solutions") or []))
    key = str(metadata.get("problem_id", metadata.get("id", "")))
    if cases.function is not None:
        starter = metadata.get("starter_code") or ""
        return FunctionCases(key, references, cases.function, cases.inputs, cases.outputs, starter)
    return Script(key, references, list(zip(cases.inputs, cases.outputs, strict=True)))


_MAKERS: Mapping[Any, Callable[[Mapping[str, Any]], Problem]] = {"humaneval": _humaneval, "apps": _apps}
TASKS = frozenset(_MAKERS)
"""Tasks of metadata that `problem_from_metadata` takes."""
