"""The trusted side: runs a problem's tests in a process of its own and asks the program for results only.

The program lives in another process, behind its own walls. Arguments go there and results come back as plain data
(`codec.py`); tests and expected values stay here. A verdict is what this process says at its end, nothing else: no exit
code, no printed text, no object of the program's. It is confined like a program, for tests are a dataset's code and
results are a stranger's data.
"""

from __future__ import annotations

import ast
import builtins
import os
import random
import signal
import sys
from collections.abc import Callable
from typing import Any

from qstar_pl.execution import codec
from qstar_pl.execution.comparison import same_value, shortened
from qstar_pl.execution.limits import MIB, Limits

JOB, VERDICT, FROM_PROGRAM, TO_PROGRAM = 3, 4, 5, 6
MAX_JOB = 256 * MIB
MAX_ITEMS = 1_000_000
"""Of all iterators that a program returns."""
MAX_DIGITS = 100_000
"""Of numbers as text, in tests: Python's own limit of 4,300 is too low for some, and none at all would cost hours."""
GRACE_S = 1.0
"""How much longer than the program this process may take, to say that time is up."""


class ProgramError(Exception):
    """The program's function raised something that has no counterpart here."""


class _Ended(BaseException):
    """There is nothing more to learn; not an `Exception`, so that tests do not catch it by chance."""


class RemoteIterator:
    """An iterator, such as a generator, that the function has returned; its items are asked for one by one.

    As any iterator it equals nothing but itself, and can be gone through once.
    """

    def __init__(self, program: Program, number: int, type_name: str) -> None:
        self._program, self._number, self._type_name = program, number, type_name
        self._ended = False

    def __iter__(self) -> RemoteIterator:
        return self

    def __next__(self) -> Any:
        if not self._ended:
            self._program.items += 1
            if self._program.items > MAX_ITEMS:
                self._program.end("output", f"it yields more than {MAX_ITEMS} items")
            reply = self._program.ask(["next", self._number])
            if reply != ["ended"]:
                return self._program.result(reply)
            self._ended = True
        raise StopIteration

    def __repr__(self) -> str:
        return f"<{self._type_name} object>"


class Program:
    """The function under test, as the tests see it: a callable whose body is elsewhere."""

    def __init__(self, limits: Limits) -> None:
        self.limit = limits.output_mib * MIB
        self.calls = 0
        self.items = 0
        """Asked of iterators."""
        self.verdict: tuple[str, str] | None = None
        """Set once, when the run cannot pass any more whatever the tests make of it: (kind, detail)."""
        self.raised: BaseException | None = None

    def load(self, text: str, entry: str, before: str) -> None:
        """Send the program to its process and wait until it is loaded."""
        reply = self.ask([text, entry, before])
        if reply != ["ready"]:
            self._failed(reply)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Return what the function returns; its changes of lists, dicts, sets and bytearrays are made here as well."""
        if self.verdict is not None:
            raise _Ended
        self.calls += 1
        return self.result(self.ask([codec.encode(list(arguments)), codec.encode(named)]), arguments)

    def result(self, reply: Any, arguments: tuple[Any, ...] = ()) -> Any:
        """Return the value in an answer, and change the arguments as it says; raise what it says was raised."""
        if not (isinstance(reply, list) and len(reply) == 3 and reply[0] == "returned"):
            self._failed(reply)
        try:
            value = codec.decode(reply[1], remote=lambda number, name: RemoteIterator(self, number, name))
            after = codec.decode(reply[2]) if reply[2] is not None else None
        except codec.CodecError as error:
            self.end("protocol", str(error))
        if isinstance(after, list):
            for mine, changed in zip(arguments, after, strict=False):
                _change_like(mine, changed)
        return value

    def end(self, kind: str, detail: str) -> Any:
        """Fix the verdict and leave the tests."""
        if self.verdict is None:
            self.verdict = (kind, detail)
        raise _Ended

    def ask(self, message: Any) -> Any:
        """Send a message and return the answer to it."""
        try:
            codec.send(TO_PROGRAM, message)
            return codec.receive(FROM_PROGRAM, self.limit)
        except (codec.ClosedError, OSError):
            return self.end("gone", "the program ended before it answered")
        except codec.CodecError as error:
            return self.end("output", str(error))

    def _failed(self, reply: Any) -> None:
        if not (isinstance(reply, list) and len(reply) == 3 and all(isinstance(part, str) for part in reply)):
            self.end("protocol", "the program sent something else than an answer")
        what, kind, text = (part[:300] for part in reply)
        if self.calls == 0 or kind == "MemoryError":
            self.end(
                "syntax" if what == "syntax" else "memory" if kind == "MemoryError" else "exception", f"{kind}: {text}"
            )
        self.raised = _counterpart(kind, text)
        raise self.raised


def _counterpart(kind: str, text: str) -> Exception:
    """Return a built-in exception of that name; never one that tests use themselves, nor one that ends a process."""
    found = getattr(builtins, kind, None)
    if isinstance(found, type) and issubclass(found, Exception) and found is not AssertionError:
        try:
            return found(text)
        except TypeError:
            pass
    return ProgramError(f"{kind}: {text}")


def _change_like(mine: Any, changed: Any) -> None:
    if type(mine) is not type(changed):
        return
    if isinstance(mine, list | bytearray):
        if mine != changed:
            mine[:] = changed
    elif isinstance(mine, dict | set) and mine != changed:
        mine.clear()
        mine.update(changed)


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
    """`assert x` becomes `with __tally__: assert x`; asserts of a constant, which test nothing, go."""

    def __init__(self) -> None:
        self.found = 0

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        if isinstance(node.test, ast.Constant):
            return ast.copy_location(ast.Pass(), node)
        self.found += 1
        tally = ast.withitem(context_expr=ast.Name("__tally__", ast.Load()))
        return ast.copy_location(ast.With(items=[tally], body=[node]), node)


def check(job: dict[str, Any], program: Program, tally: Tally) -> None:
    """Run a `check(candidate)` as HumanEval has it; the prompt's own helpers are there, the program's are not."""
    space: dict[str, Any] = {"__name__": "tests", "__tally__": tally}
    counter = _CountAsserts()
    try:
        tests = ast.parse(job["test"])
        if job["every_test"]:
            tests = ast.fix_missing_locations(counter.visit(tests))
        try:
            exec(compile(job["prompt"], "prompt.py", "exec"), space)
        except SyntaxError:  # a prompt may end with the function's head
            exec(compile(job["prompt"] + "\n    pass\n", "prompt.py", "exec"), space)
        space[job["entry_point"]] = program
        exec(compile(tests, "tests.py", "exec"), space)
        function = space["check"]
    except Exception as error:
        program.end("tests", f"{type(error).__name__}: {error}")
    program.load(job["program"], job["entry_point"], job["before"])
    try:
        function(program)
    finally:
        tally.total = max(tally.total, counter.found if job["every_test"] else 1)
    if program.calls == 0:
        program.end("tests", "check(candidate) calls nothing")
    if not job["every_test"]:
        tally.passed = 1


def cases(job: dict[str, Any], program: Program, tally: Tally) -> None:
    """Call the function with each list of arguments and compare what it returns."""
    inputs, outputs = codec.decode(job["inputs"]), codec.decode(job["outputs"])
    tally.total = len(inputs)
    program.load(job["program"], job["entry_point"], job["before"])
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
        return ("passed", "") if tally.passed else ("tests", "there are no tests")
    detail = f"{type(cause).__name__}: {cause}"[:300]
    return ("exception" if cause is program.raised else "wrong", detail)
