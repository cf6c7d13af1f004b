"""Code that goes on where a prompt stops, inside a function."""

from __future__ import annotations

import ast
import re
import textwrap

from qstar_pl.sandbox.shape import longest_start, parsed, parses, tidied

_MAKING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
_TOP_LEVEL = re.compile(r"(?:async\s+def|def|class|from)\s|@")
# A line at the margin ends a body, unless it is a comment or closes a bracket or a string.
_AFTER_A_BODY = re.compile(r"^(?=[^\s#)\]}\"'])", re.MULTILINE)


def continue_function(prompt: str, text: str) -> str:
    """Return `prompt` with a function's body behind it.

    The body ends where a line returns to the margin. Of what follows, functions, classes, imports and constants are
    kept if the body needs them; all else (prose, tests, calls, other problems' functions) is dropped. A body that has
    lost its indentation, in its first line or in all of them, or has another one, gets the prompt's.
    """
    if (whole := continued(prompt, text)) is not None:
        return whole
    text, head = text.lstrip("\r\n"), _head(prompt)
    body, rest = _parted(text)
    for candidate, left in _mended(text, body, rest, _margin(prompt)):
        if parses(head + candidate):
            return head + candidate + _kept(left, head + candidate)
    return head + body


def continued(prompt: str, text: str) -> str | None:
    """Return `prompt` with the body that `text` begins with; None unless it parses as it stands, with its margin."""
    body, rest = _parted(text.lstrip("\r\n"))
    head = _head(prompt)
    if body[:1] not in (" ", "\t") or _TOP_LEVEL.match(body.lstrip()) or not parses(head + body):
        return None
    return head + body + _kept(rest, head + body)


def _head(prompt: str) -> str:
    head = prompt.rstrip(" \t")
    return head if head.endswith("\n") else head + "\n"


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


def _kept(rest: str, whole: str) -> str:
    """Return the statements after a body that define names which `whole`, prompt and body, lacks."""
    lines = rest.split("\n")
    program, above = parsed("\n".join(lines[: longest_start(lines)])), parsed(whole)
    if program is None or above is None:
        return ""
    source = program.text.split("\n")
    missing, texts = set(above.missing), dict[int, str]()
    statements = [node for node in program.tree.body if isinstance(node, _MAKING)]
    for _ in statements:  # what is kept may need more of it
        for node in statements:
            decorators = getattr(node, "decorator_list", [])
            start = min([node.lineno, *(decorator.lineno for decorator in decorators)])
            text = "\n".join(source[start - 1 : node.end_lineno])
            if start not in texts and (made := parsed(text)) is not None and made.makes & missing:
                texts[start] = text
                missing |= made.missing
    return "\n" + "\n\n".join(texts[start] for start in sorted(texts)) + "\n" if texts else ""
