"""How a program is compiled and ended, so that it does what `python program.py` does."""

from __future__ import annotations

import ast
import atexit
import contextlib
import gc
import io
import re
import sys
import threading
import types
from typing import Any

FILE = "program.py"
"""What a program is called in its own errors."""
_BROKEN_PIPE_OR_SO = 120
"""Python's exit code where its buffers could not be written at the end."""
_UNBOUND = re.compile(r"no binding for nonlocal '(.+)' found|nonlocal declaration not allowed at module level")


def compiled(text: str, script: bool = True) -> types.CodeType:
    """Compile a program, even if it was written as the body of a function, as some of APPS's own solutions are.

    There `nonlocal x` names what is a global here, and `return` ends the script (with `script`; elsewhere it is an
    error).

    Raises:
        SyntaxError: if it is no program, with Python's own words.

    """
    text = text.removeprefix("\ufeff")  # a byte order mark
    tree: ast.Module | None = None
    while True:  # each pass mends one `nonlocal`: the compiler names no more than the first
        try:
            return compile(text if tree is None else tree, FILE, "exec")
        except SyntaxError as error:
            tree = ast.parse(text, FILE) if tree is None else tree
            unbound = _UNBOUND.fullmatch(str(error.msg))
            if unbound is not None and _made_global(tree, error.lineno, unbound[1]):
                continue
            if script and "'return' outside function" in str(error.msg):
                return compile(_as_function(tree), FILE, "exec")
            raise


def _made_global(tree: ast.Module, line: int | None, name: str | None) -> bool:
    """Turn `nonlocal name` in that line into `global name`; at the top (no name), where all is global, drop it."""
    for parent in ast.walk(tree):
        for body in (value for _, value in ast.iter_fields(parent) if isinstance(value, list)):
            for number, node in enumerate(body):
                if not isinstance(node, ast.Nonlocal) or node.lineno != line:
                    continue
                if name is None:
                    body[number] = ast.copy_location(ast.Pass(), node)
                elif name in node.names:
                    body.insert(number, ast.copy_location(ast.Global([name]), node))
                    node.names.remove(name)
                    if not node.names:
                        del body[number + 1]
                else:
                    continue
                return True
    return False


def _as_function(tree: ast.Module) -> ast.Module:
    """Return a module that defines a function with that body and calls it; what is declared global stays so."""
    wrapped = ast.parse("def script():\n    pass\nscript()", FILE)
    function = wrapped.body[0]
    assert isinstance(function, ast.FunctionDef)
    declared = {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}
    # `import *` is an error inside a function, so it stays outside.
    stars = [
        node for node in tree.body if isinstance(node, ast.ImportFrom) and any(one.name == "*" for one in node.names)
    ]
    body: list[ast.stmt] = [ast.Global(sorted(declared))] if declared else []
    function.body = [*body, *(node for node in tree.body if node not in stars)] or [ast.Pass()]
    wrapped.body[:0] = stars
    return ast.fix_missing_locations(wrapped)


def end_as_interpreter(code: int) -> int:
    """Do what the interpreter does at its end: threads, exit functions, buffers. Return the exit code, 0 to 255."""
    shutdown: Any = getattr(threading, "_shutdown", None)
    run_exit_functions: Any = getattr(atexit, "_run_exitfuncs", None)
    for step in (shutdown, run_exit_functions):  # in the order of Py_FinalizeEx
        if step is not None:
            with contextlib.suppress(Exception):  # Python prints what these raise, and goes on
                step()
    try:
        if (stream := getattr(sys, "stdout", None)) is not None and not getattr(stream, "closed", False):
            stream.flush()
    except BaseException:
        code = _BROKEN_PIPE_OR_SO
    # Writers that the program has opened itself are flushed when Python lets go of them: texts, then bytes.
    for kind in (io.TextIOWrapper, io.BufferedWriter):
        for writer in [one for one in gc.get_objects() if isinstance(one, kind)]:
            with contextlib.suppress(Exception):
                writer.flush()
    return code & 0xFF
