"""Where tables are printed: rich's console, with symbols in words where they cannot be shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from qstar_pl.spelling import spelled, without_controls


class SpellingConsole(Console):
    """Writes to standard output, or where rich's options say, at its width (80 columns if it is no terminal).

    Texts are spelled before they are measured, so that columns stay straight.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text with rich's markup as it is drawn."""
        return super().render_str(spelled(text, self.encoding), **options)

    def verbatim(self, text: str) -> Text:
        """Return a text in which nothing counts as markup, such as what a model wrote."""
        return Text(spelled(without_controls(text), self.encoding))


def fact_lines(facts: Mapping[str, str], width: int = 80) -> list[str]:
    """Return named facts as aligned lines, folded at a width, with what is continued below what it continues.

    Words are not broken, so that a path stays in one piece, to be copied; only one that is too long is, after "(".
    """
    indent = 4 + max((len(name) for name in facts), default=0)
    lines: list[str] = []
    for name, fact in facts.items():
        starts = [f"  {name:<{indent - 2}}"]
        for part in _parts(" ".join(fact.split("\n")), width - indent):
            if len(starts[-1]) > indent and len(starts[-1] + part.rstrip()) > width:
                starts.append(" " * indent)
            starts[-1] += part if len(starts[-1]) > indent else part.lstrip()
        lines += [line.rstrip() for line in starts]
    return lines


def _parts(text: str, room: int) -> Iterator[str]:
    """Yield words with the spaces before them; those that have no room on a line in pieces: "Expert(", "model=…"."""
    for word in re.findall(r"\s*\S+", text):
        yield from re.split(r"(?<=\w\()", word) if len(word.strip()) > room else [word]
