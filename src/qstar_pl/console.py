"""Where tables are printed: rich's console, with symbols in words where they cannot be shown."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from qstar_pl.spelling import spelled


class SpellingConsole(Console):
    """Writes to standard output, or where rich's options say, at its width (80 columns if it is no terminal).

    Texts are spelled before they are measured, so that columns stay straight.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text with rich's markup as it is drawn."""
        return super().render_str(spelled(text, self.encoding), **options)

    def verbatim(self, text: str) -> Text:
        """Return a text in which nothing counts as markup, such as what a model wrote."""
        return Text(spelled(text, self.encoding))


def fact_lines(facts: Mapping[str, str], width: int = 80) -> list[str]:
    """Return named facts as aligned lines, folded at a width, with what is continued below what it continues.

    Words are not broken: a path stays in one piece, to be copied.
    """
    indent = 4 + max((len(name) for name in facts), default=0)
    lines: list[str] = []
    for name, fact in facts.items():
        first = f"  {name:<{indent - 2}}"
        folded = textwrap.wrap(
            first + fact, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
        )
        lines += folded or [first.rstrip()]
    return lines
