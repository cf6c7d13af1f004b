"""Cuts a formula into its pieces."""

from __future__ import annotations

import re
from dataclasses import dataclass

from qstar_pl.rewards.answers.cleaning import CLOSE_TEXT, OPEN_TEXT
from qstar_pl.rewards.answers.expressions import FUNCTIONS

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][+-]?\d{1,4}(?![\w.]))?|\.\d+|\d+\.)"
    r"|(?P<command>\\[A-Za-z]+|\\[{}|])|(?P<word>[A-Za-z]+)|(?P<text>" + OPEN_TEXT + r"[^" + CLOSE_TEXT + "]*"
    + CLOSE_TEXT + r")|(?P<sign>.)",
    re.DOTALL,
)  # fmt: skip
_NAMED = frozenset({*FUNCTIONS, "sqrt", "pi"})


@dataclass(frozen=True)
class Token:
    """A piece of a formula."""

    kind: str
    text: str
    spaced: bool
    """Whether white space stands before it."""


def tokens(text: str) -> list[Token]:
    """Return the pieces; a run of letters that names no function is one variable per letter."""
    found: list[Token] = []
    spaced = False
    for match in _TOKEN.finditer(text):
        kind, piece = match.lastgroup or "", match[0]
        if kind == "space":
            spaced = True
            continue
        # "xy" is x · y; "sin" is \sin without its backslash.
        if kind == "word" and piece not in _NAMED:
            found += [Token("symbol", letter, spaced and not number) for number, letter in enumerate(piece)]
        elif kind == "word":
            found.append(Token("command", "\\" + piece, spaced))
        else:
            found.append(Token(kind, piece, spaced))
        spaced = False
    return found
