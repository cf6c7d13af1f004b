"""Code that goes on where a prompt stops, inside a function."""

from __future__ import annotations

import ast
import re
import textwrap

from qstar_pl.execution.shape import longest_start, parsed, parses, tidied

_AFTER_A_BODY = re.compile(r"^(?=[^\s#)\]}\"'])", re.MULTILINE)


def continue_function(prompt: str, text: str, name: str) -> str:
    """Return `prompt` with a function's body behind it.

    The body ends where a line returns to the margin. Functions, classes, imports and constants that follow it are kept,
    all else (prose, tests, calls) is dropped. A body that has lost its indentation, in its first line or in all of
    them, or has another one, gets the prompt's.
    """
    text = text.lstrip("\r\n")
    head = prompt.rstrip(" \t")
    head = head if head.endswith("\n") else head + "\n"
    body, rest = _parted(text)
    if _indented(body) and parses(head + body):
        return head + body + _kept(rest, name)
    for candidate, left in _mended(text, body, rest, _margin(prompt)):
        if parses(head + candidate):
            return head + candidate + _kept(left, name)
    return head + body


def _margin(prompt: str) -> str:
    """Return the indentation of the body that a prompt asks for."""
    last = next((line for line in reversed(prompt.split("\n")) if line.strip()), "")
    own = last[: len(last) - len(last.lstrip())].expandtabs(4)
    return own + "    " if last.rstrip().endswith(":") or not own else own


def _parted(text: str) -> tuple[str, str]:
    """Return the body, whose first line may stand at the margin, and what follows it."""
    first, newline, rest = text.partition("\n")
    after = _AFTER_A_BODY.search(rest)
    if after is None:
        return text, ""
    return first + newline + rest[: after.start()], rest[after.start() :]


def _indented(body: str) -> bool:
    return body[:1] in " \t"


def _mended(text: str, body: str, rest: str, margin: str) -> list[tuple[str, str]]:
    """Return (body, what follows it) in the ways that it may have lost its indentation, the likeliest first."""
    lines = text.split("\n")
    found = []
    if not _indented(text):  # all lines at the margin: as much as parses, for what follows may be prose
        size = longest_start(lines)
        if not _indented(next((line for line in lines[size:] if line.strip()), "x")):
            found.append((textwrap.indent("\n".join(lines[:size]), margin), "\n".join(lines[size:])))
    first, newline, more = _spaced(body).partition("\n")
    inner = textwrap.indent(textwrap.dedent(more), margin)
    found.append((margin + first.lstrip() + newline + inner, rest))
    deeper = min((len(line) - len(line.lstrip()) for line in more.split("\n") if line.strip()), default=0)
    if deeper:  # the first line alone has lost it
        found.append((margin + first.lstrip() + newline + more, rest))
    whole = textwrap.indent(tidied(body), margin)
    found.append((whole, rest))
    return [pair for pair in found if pair[0].strip()]


def _spaced(body: str) -> str:
    """Return a body with spaces for tabs at the margin."""
    lines = body.split("\n")
    return "\n".join(line[: len(line) - len(line.lstrip())].expandtabs(4) + line.lstrip() for line in lines)


def _kept(rest: str, name: str) -> str:
    """Return the definitions, imports and constants of what follows a body, but not another definition of `name`."""
    lines = rest.split("\n")
    program = parsed("\n".join(lines[: longest_start(lines)]))
    if program is None:
        return ""
    source = program.text.split("\n")
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
    kept = []
    for node in program.tree.body:
        if isinstance(node, kinds) and getattr(node, "name", "") != name:
            decorators = getattr(node, "decorator_list", [])
            start = min([node.lineno, *(decorator.lineno for decorator in decorators)])
            kept.append("\n".join(source[start - 1 : node.end_lineno]))
    return "\n" + "\n\n".join(kept) + "\n" if kept else ""
