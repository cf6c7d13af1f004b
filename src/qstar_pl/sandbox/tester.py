"""The trusted side: runs a problem's tests in a process of its own and asks the program for results only.

The program lives in another process, behind its own walls. Arguments go there and results come back as data
(`graph.py`), or as stand-ins for what cannot leave its process (`stand_ins.py`); tests and expected values stay here. A
verdict is what this process says at its end, nothing else: no exit code, no printed text, no object of the program's.
It is confined like a program, for tests are a dataset's code and results are a stranger's data.
"""

from __future__ import annotations

import ast
import os
import random
import signal
import sys
import types
from collections.abc import Callable
from typing import Any

from qstar_pl.sandbox import codec
from qstar_pl.sandbox.codec import TooLargeError
from qstar_pl.sandbox.comparison import same_value, shortened
from qstar_pl.sandbox.dialogue import Dialogue
from qstar_pl.sandbox.graph import unpack_once
from qstar_pl.sandbox.limits import MIB, Limits
from qstar_pl.sandbox.operations import permitted
from qstar_pl.sandbox.raised import text_of

JOB, VERDICT, FROM_PROGRAM, TO_PROGRAM = 3, 4, 5, 6
MAX_JOB = 256 * MIB
MAX_DIGITS = 100_000
"""Of numbers as text, in tests: Python's own limit of 4,300 is too low for some, and no limit could cost hours."""
GRACE_S = 1.0
"""How much longer than the program this process may take, to say that time is up."""


class _Ended(BaseException):
    """The verdict is fixed; not an `Exception`, so that tests do not catch it by chance."""


class Program(Dialogue):
    """The function under test, as the tests see it: a callable whose body is elsewhere."""

    asks_all = False
    caught = Exception
    forgets = True

    def __init__(self, limits: Limits) -> None:
        super().__init__((FROM_PROGRAM, TO_PROGRAM), 0, limits.output_mib * MIB)
        self.graph.is_theirs(0, self)
        self.calls = 0
        self.verdict: tuple[str, str] | None = None
        """Set once, when the run cannot pass any more whatever the tests make of it: (kind, detail)."""
        self.raised: BaseException | None = None

    def load(self, text: str, entry: str, before: str, classes: dict[str, type]) -> None:
        """Send the program to its process and wait until it is loaded; `classes` are those in the problem's prompt."""
        self.__name__ = entry
        self.graph.classes = classes
        reply = self._told(lambda: self._load([text, entry, before, list(classes)]))
        if reply == ["ready"]:
            return
        if not (isinstance(reply, list) and len(reply) == 3 and all(isinstance(part, str) for part in reply)):
            self.end("protocol", "the program sent something else than an answer")
        what, kind, words = (part[:300] for part in reply)
        self.end("memory" if kind == "MemoryError" else what if what == "syntax" else "exception", f"{kind}: {words}")

    def _load(self, words: list[Any]) -> Any:
        codec.send(TO_PROGRAM, words)
        return codec.receive(FROM_PROGRAM, self._limit)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Return what the function returns; its changes of what both sides know are made here as well."""
        self.calls += 1
        return self.ask("call", 0, *arguments, **named)

    def ask(self, operation: str, number: int, *arguments: Any, **named: Any) -> Any:
        """See `Dialogue.ask`; a program that does not keep to it has failed."""
        if self.verdict is not None:
            raise _Ended
        return self._told(lambda: super(Program, self).ask(operation, number, *arguments, **named))

    def _told(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except TooLargeError as error:
            return self.end("output", str(error))
        except codec.ClosedError:
            return self.end("gone", "the program ended before it answered")
        except codec.CodecError as error:
            return self.end("protocol", str(error))

    def permits(self, operation: str, target: Any, arguments: list[Any]) -> bool:
        """See `Dialogue.permits`; the program must not get to what the tests expect."""
        return permitted(operation, target, arguments)

    def failed(self, what: str, kind: str, text: str, error: Exception) -> None:
        """See `Dialogue.failed`."""
        self.raised = error
        if kind == "MemoryError":
            self.end("memory", f"{kind}: {text}")

    def end(self, kind: str, detail: str) -> Any:
        """Fix the verdict and leave the tests."""
        if self.verdict is None:
            self.verdict = (kind, detail)
        raise _Ended


class Tally:
    """Counts tests; as a context it also keeps a failed one from ending the rest."""

    def __init__(self) -> None:
        self.passed = self.total = 0
        self.first: BaseException | None = None

    def __enter__(self) -> None:
        self.total += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if error is None:
            self.passed += 1
            return False
        if isinstance(error, Exception):
            self.first = self.first or error
            return True
        return False


class _CountAsserts(ast.NodeTransformer):
    """Let a failed assert not end the rest: `assert x` becomes `with __tally__: assert x`.

    An assert of a true constant tests nothing and is dropped. One of a false constant marks what must not be reached:
    it has passed if it was not reached by the end.
    """

    def __init__(self) -> None:
        self.found = self.traps = 0

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        if isinstance(node.test, ast.Constant):
            if node.test.value:
                return ast.copy_location(ast.Pass(), node)
            self.traps += 1
        self.found += 1
        tally = ast.withitem(context_expr=ast.Name("__tally__", ast.Load()))
        return ast.copy_location(ast.With(items=[tally], body=[node]), node)


def check(job: dict[str, Any], program: Program, tally: Tally) -> None:
    """Run a `check(candidate)` as HumanEval has it; the prompt's own helpers are there, the program's are not.

    With "every_test" the asserts are counted one by one, which can change what a `try` around one of them does: whether
    a program passes is known from a run without.
    """
    # Its name becomes `__module__` of classes defined here, by which `operations.permitted` knows them.
    module = sys.modules["tests"] = types.ModuleType("tests")
    space = module.__dict__
    space["__tally__"] = tally
    counter = _CountAsserts()
    try:
        tests = job["test"]
        if job["every_test"]:
            tests = ast.fix_missing_locations(counter.visit(ast.parse(tests)))
        try:
            exec(compile(job["prompt"], "prompt.py", "exec"), space)  # nosec B102 - this is the sandbox's guest
        except SyntaxError:  # a prompt may end with the function's head
            exec(compile(job["prompt"] + "\n    pass\n", "prompt.py", "exec"), space)  # nosec B102 - this is the sandbox's guest
        classes = {name: one for name, one in space.items() if isinstance(one, type) and one.__module__ == "tests"}
        space[job["entry_point"]] = program  # in place of the prompt's own stub, and before tests bind it
        exec(compile(tests, "tests.py", "exec"), space)  # nosec B102 - this is the sandbox's guest
        function = space["check"]
    except Exception as error:
        program.end("tests", f"{type(error).__name__}: {error}")
    program.load(job["program"], job["entry_point"], job["before"], classes)
    ended = False
    try:
        function(program)
        ended = True
    finally:
        if job["every_test"]:
            # Asserts that were not reached count as failed, except `assert False`, which had to stay out of reach.
            reached = tally.total
            tally.total = max(reached, counter.found)
            tally.passed += min(counter.traps, tally.total - reached) if ended else 0
        else:
            tally.passed, tally.total = int(ended), 1
    if program.calls == 0:
        program.end("tests", "check(candidate) calls nothing")


def cases(job: dict[str, Any], program: Program, tally: Tally) -> None:
    """Call the function with each list of arguments and compare what it returns."""
    inputs, outputs = unpack_once(job["inputs"]), unpack_once(job["outputs"])
    tally.total = len(inputs)
    program.load(job["program"], job["entry_point"], job["before"], {})
    for arguments, expected in zip(inputs, outputs, strict=True):
        try:
            returned = program(*arguments)
            if not same_value(returned, expected):
                raise AssertionError(f"returned {shortened(returned)}, not {shortened(expected)}")
            tally.passed += 1
        except Exception as error:
            tally.first = tally.first or error
            if not job["every_test"]:
                return


_KINDS: dict[str, Callable[[dict[str, Any], Program, Tally], None]] = {"check": check, "cases": cases}


def run_tests(limits: Limits) -> None:
    """Read a job, run its tests and write [kind, detail, tests passed, tests]; kind is "passed" or how they failed."""
    job = codec.receive(JOB, MAX_JOB)
    program, tally = Program(limits), Tally()
    random.seed(0)
    sys.setrecursionlimit(10_000)
    sys.set_int_max_str_digits(MAX_DIGITS)

    def out_of_time(number: int, frame: object) -> None:
        program.end("timeout", "out of time")

    signal.signal(signal.SIGALRM, out_of_time)
    # 0 would switch the timer off.
    signal.setitimer(signal.ITIMER_REAL, max(limits.wall_s - GRACE_S, 0.001))
    failure: BaseException | None = None
    try:
        _KINDS[job["kind"]](job, program, tally)
    except BaseException as error:
        failure = error
    signal.setitimer(signal.ITIMER_REAL, 0)
    kind, detail = _conclude(program, tally, failure)
    codec.send(VERDICT, [kind, detail, tally.passed, max(tally.total, 1)])
    os._exit(0)


def _conclude(program: Program, tally: Tally, failure: BaseException | None) -> tuple[str, str]:
    if program.verdict is not None:
        return program.verdict
    cause = failure or tally.first
    if cause is None:
        return ("passed", "") if tally.passed == tally.total else ("wrong", "not all of the tests were reached")
    kind = "exception" if cause is program.raised else "wrong"
    program.verdict = (kind, "")  # what follows may ask the program, which has nothing more to say
    return kind, f"{type(cause).__name__}: {text_of(cause)}"[:300]
