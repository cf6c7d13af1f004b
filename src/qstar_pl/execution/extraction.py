"""Finds the program in an answer."""

from __future__ import annotations

import re

_FENCE = re.compile(r"^[ \t]*```[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.MULTILINE | re.DOTALL)
_TOP_LEVEL = re.compile(r"(?:async\s+def|def|class|import|from)\s|@")
_AFTER_A_BODY = re.compile(r"^(?=[^\s#)\]}\"'])", re.MULTILINE)


def defines(text: str, name: str) -> bool:
    """Return whether a program has a function (or method) of that name."""
    return bool(re.search(rf"^[ \t]*(?:async[ \t]+)?def[ \t]+{re.escape(name)}\b", text, re.MULTILINE))


def code_block(answer: str, name: str | None = None) -> str | None:
    """Return the last fenced block that defines `name`, or else the last one; None if there is none.

    A fence that is never closed lasts to the end: the answer may have been cut.
    """
    blocks = [match[1] for match in _FENCE.finditer(answer)]
    naming = [block for block in blocks if name is not None and defines(block, name)]
    return ([None, *blocks, *naming])[-1]


def complete_function(prompt: str, answer: str, entry_point: str) -> str:
    """Return the program of an answer to a prompt that ends inside the function `entry_point`.

    A fenced block, or a text that starts like a module, which defines the function stands on its own, below what the
    prompt has before that function (imports, helpers). Anything else continues the prompt: it is cut where a line
    returns to the margin, and the first line gets the indentation of a function's body if it has lost it.
    """
    block = code_block(answer, entry_point)
    text = answer if block is None else block
    if defines(text, entry_point) and (block is not None or _TOP_LEVEL.match(text.lstrip())):
        return before_function(prompt, entry_point) + "\n" + _without_margin(text)
    first, newline, rest = text.lstrip("\r\n").partition("\n")
    if len(first) - len(first.lstrip()) < 4 and not first.startswith("\t"):
        first = "    " + first.lstrip()
    if after := _AFTER_A_BODY.search(rest):
        rest = rest[: after.start()]
    return prompt + first + newline + rest


def before_function(prompt: str, entry_point: str) -> str:
    """Return what a prompt has above the function that it asks for."""
    head = re.search(rf"^def[ \t]+{re.escape(entry_point)}\b", prompt, re.MULTILINE)
    return prompt[: head.start()] if head else ""


def _without_margin(text: str) -> str:
    """Return a block that is indented as a whole, as in a list, without that indentation."""
    lines = text.splitlines()
    margins = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    margin = min(margins, default=0)
    return "\n".join(line[margin:] for line in lines) + "\n"
