"""What a confined process does with a program: run it as a script, or answer calls of its function.

Nothing here is trusted by anyone once the program has started: it may change this module as it likes. It never holds an
expected result, and what it sends is parsed by `tester.py` and compared there or in `script_tests.py`.
"""

from __future__ import annotations

import _sitebuiltins
import ast
import atexit
import builtins
import os
import random
import sys
import threading
import types
from typing import Any, TextIO

from qstar_pl.execution import codec
from qstar_pl.execution.limits import MIB, Limits

MAX_SOURCE = 8 * MIB
NOTES, CALLS_IN, CALLS_OUT = 3, 3, 4
_SEED = 0
_FILE = "program.py"


def run_script(limits: Limits) -> None:
    """Run a program as `python program.py`: its text comes first on standard input, and what follows is its own.

    How it failed goes to descriptor 3, for the report; the verdict rests on standard output and the exit code.
    """
    text = codec.receive(0, MAX_SOURCE)
    module = _fresh_module("__main__")
    sys.stdin = _open_text(0, "r")
    code, failure = 1, None
    try:
        exec(_compiled(text), module.__dict__)
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException as error:
        failure = error
    if failure is not None:
        codec.send(NOTES, _describe(failure))
    # What the interpreter does at its end: threads, then exit functions, then the buffers.
    shutdown: Any = getattr(threading, "_shutdown", None)
    run_exit_functions: Any = getattr(atexit, "_run_exitfuncs", None)
    for step in (shutdown, run_exit_functions, sys.stdout.flush):
        if step is not None:
            step()
    os._exit(code & 0xFF)


def run_calls(limits: Limits) -> None:
    """Load a program, then answer one call after the other until the channel closes.

    In: [program, entry point, code to run before it], then [arguments, keyword arguments] per call.
    Out: ["ready"] or how it failed; per call ["returned", value, arguments if they have changed] or how it failed.
    """
    text, entry, before = codec.receive(CALLS_IN, MAX_SOURCE)
    module = _fresh_module("solution")
    try:
        exec(before, module.__dict__)
        exec(compile(text, _FILE, "exec"), module.__dict__)
        function = _entry_point(module, entry)
    except BaseException as error:
        codec.send(CALLS_OUT, _describe(error))
        os._exit(1)
    codec.send(CALLS_OUT, ["ready"])
    while True:
        try:
            message = codec.receive(CALLS_IN, MAX_SOURCE)
        except codec.ClosedError:
            os._exit(0)
        codec.send(CALLS_OUT, _answer(function, message))


def _compiled(text: str) -> types.CodeType:
    """Compile a script; one that ends with `return`, as some of APPS's own solutions do, becomes a function's body."""
    try:
        return compile(text, _FILE, "exec")
    except SyntaxError as error:
        if "'return' outside function" not in str(error.msg):
            raise
    wrapped = ast.parse("def script():\n    pass\nscript()")
    function = wrapped.body[0]
    assert isinstance(function, ast.FunctionDef)
    function.body = ast.parse(text).body
    return compile(wrapped, _FILE, "exec")


def _answer(function: Any, message: Any) -> list[Any]:
    arguments, named = codec.decode(message[0]), codec.decode(message[1])
    try:
        value = codec.encode(function(*arguments, **named))
        after = codec.encode(arguments)
    except BaseException as error:
        return _describe(error)
    return ["returned", value, None if after == message[0] else after]


def _entry_point(module: types.ModuleType, name: str) -> Any:
    """Return the function of that name, also as a method of a class `Solution`."""
    if name in module.__dict__ or "Solution" not in module.__dict__:
        return module.__dict__[name]
    return getattr(module.__dict__["Solution"](), name)


def _fresh_module(name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    sys.modules[name] = module
    sys.argv = [_FILE]
    atexit._clear()
    for name in ("exit", "quit"):  # what `site` would have brought
        setattr(builtins, name, _sitebuiltins.Quitter(name, ""))
    random.seed(_SEED)  # the same answer gets the same verdict, whatever ran before
    for number, (stream, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        opened = _open_text(number, mode)
        setattr(sys, stream, opened)
        setattr(sys, f"__{stream}__", opened)
    return module


def _open_text(descriptor: int, mode: str) -> TextIO:
    return open(descriptor, mode, encoding="utf-8", errors="surrogateescape", closefd=False)  # type: ignore[return-value]


def _describe(error: BaseException) -> list[Any]:
    # Whatever the program's own exception does when asked for its text, there is an answer.
    try:
        text = str(error)[:200]
    except BaseException:
        text = ""
    kind = type(error).__name__
    if isinstance(error, SyntaxError) and error.filename == _FILE:
        return ["syntax", kind, text]
    return ["raised", kind, text]
