"""What a confined process does with a program: run it as a script, or answer calls of its function.

Nothing here is trusted by anyone once the program has started: it may change this module as it likes. It never holds an
expected result, and what it sends is parsed by `tester.py` and compared there or in `script_tests.py`.
"""

from __future__ import annotations

import _sitebuiltins
import atexit
import builtins
import linecache
import os
import random
import sys
import types
from typing import Any, TextIO

from qstar_pl.sandbox import codec, devices
from qstar_pl.sandbox.dialogue import Dialogue
from qstar_pl.sandbox.limits import MIB, Limits
from qstar_pl.sandbox.running import FILE, compiled, end_as_interpreter

MAX_SOURCE = 8 * MIB
# Descriptors, in the order in which `script_tests.py` and `function_tests.py` hand over their channels.
NOTES, SOURCE, CALLS_IN, CALLS_OUT = 3, 4, 3, 4
_SEED = 0


def run_script(limits: Limits) -> None:
    """Run a program as `python program.py < input`: standard input is a file that holds nothing but the input.

    The program's text comes on descriptor 4. How it failed goes to descriptor 3, for the report; the verdict rests on
    standard output and the exit code.
    """
    text = codec.receive(SOURCE, MAX_SOURCE)
    os.close(SOURCE)
    module = _fresh_module("__main__", text)
    code, failure = 1, None
    try:
        exec(compiled(text), module.__dict__)  # nosec B102 - this is the sandbox's guest
        code = 0
    except SystemExit as stop:  # as in Python: None is 0, and anything but an int is 1
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException as error:
        failure = error
    if failure is not None:
        codec.send(NOTES, _describe(failure))
    os._exit(end_as_interpreter(code))


def run_calls(limits: Limits) -> None:
    """Load a program, then do with its objects what the tests ask for (`dialogue.py`), until the channel closes.

    In: [program, entry point, code to run before it, names of the classes in the problem's prompt]. Out: ["ready"] or
    how it failed. The program's function is object 0.
    """
    text, entry, before, names = codec.receive(CALLS_IN, MAX_SOURCE)
    module = _fresh_module("solution", text)
    try:
        exec(before, module.__dict__)  # nosec B102 - this is the sandbox's guest
        exec(compiled(text, script=False), module.__dict__)  # nosec B102 - this is the sandbox's guest
        function = _entry_point(module, entry)
    except BaseException as error:
        codec.send(CALLS_OUT, _describe(error))
        os._exit(1)
    dialogue = Dialogue((CALLS_IN, CALLS_OUT), 1, MAX_SOURCE)
    dialogue.graph.own.append(function)  # becomes object 0, by which the tester knows it
    dialogue.graph.classes = {name: kind for name in names if isinstance(kind := module.__dict__.get(name), type)}
    codec.send(CALLS_OUT, ["ready"])
    while True:
        try:
            message = codec.receive(CALLS_IN, MAX_SOURCE)
        except codec.ClosedError:
            os._exit(0)
        dialogue.answer(message)


def _entry_point(module: types.ModuleType, name: str) -> Any:
    """Return the function of that name, also as a method of a class `Solution`."""
    if name in module.__dict__ or "Solution" not in module.__dict__:
        return module.__dict__[name]
    return getattr(module.__dict__["Solution"](), name)


def _fresh_module(name: str, text: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__file__ = os.path.join(os.getcwd(), FILE)  # noqa: PTH109, PTH118
    linecache.cache[FILE] = (len(text), None, text.splitlines(keepends=True), FILE)  # for inspect and tracebacks
    sys.modules[name] = module
    sys.argv = [FILE]
    atexit._clear()  # those of modules that were loaded beforehand are not the program's
    for name in ("exit", "quit"):  # what `site` would have brought
        setattr(builtins, name, _sitebuiltins.Quitter(name, ""))
    sys.set_int_max_str_digits(0)  # Python's guard against slow conversions; the time limit is one already
    random.seed(_SEED)  # the same answer gets the same verdict, whatever ran before
    for number, (stream, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        opened = _open_text(number, mode)
        setattr(sys, stream, opened)
        setattr(sys, f"__{stream}__", opened)
    devices.make_known()
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
    # Of the program's own text, not of what it compiles itself.
    if isinstance(error, SyntaxError) and error.filename == FILE:
        return ["syntax", kind, text]
    return ["raised", kind, text]
