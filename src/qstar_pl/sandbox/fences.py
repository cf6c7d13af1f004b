"""The fenced blocks of an answer, and the programs that stand in it without a fence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from qstar_pl.sandbox.shape import Program, longest_start, parsed, without_prose

_FENCE = re.compile(r"^(?P<lead>.*?)(?P<fence>`{3,}|~{3,})[ \t]*(?P<label>[^`~]*?)[ \t]*$")
_OTHERS = """
text txt plaintext plain output out stdout result console terminal shell sh bash zsh cmd powershell bat input stdin
example sample json yaml xml html css csv sql diff markdown md latex tex math mermaid c cpp c++ java javascript js
typescript ts go rust ruby php kotlin swift r pseudocode error traceback makefile dockerfile
"""
_OTHER_LABELS = frozenset(_OTHERS.split())
"""Labels of blocks that are something else than a Python program."""
_LOOKS_LIKE_CODE = re.compile(
    r"\s*(?:from\s+[\w.]+\s+import\b|import\s+\w|(?:async\s+)?def\s+\w+\s*\(|class\s+\w+\s*[:(]|@\w|#!|"
    r"(?:for|while|if|with)\b.+:|try\s*:|print\s*\(|(?:\"\"\"|''')|"
    r"[A-Za-z_][\w.]*(?:\s*,\s*\*?[A-Za-z_][\w.]*|\[[^\]]*\])*\s*(?::[^=]+)?(?:[-+*/%&|^@]|//|\*\*|<<|>>)?=(?!=)|"
    r"[A-Za-z_][\w.]*\(.*\)\s*$)"
)
_MOST_STARTS = 40
_MOST_ENDS = 12
_MOST_BLOCKS = 60
_LONGEST_LINE = 2000
"""Bounds on what is tried (starts, ends, blocks, characters of a line), so that no answer takes long."""


@dataclass(frozen=True)
class Block:
    """What stands between two fences."""

    label: str
    """The first word behind the opening fence, in lower case; may be empty."""
    text: str

    @property
    def other(self) -> bool:
        """Whether its label says that it is no Python program."""
        return self.label in _OTHER_LABELS


def fenced_blocks(answer: str) -> list[Block]:
    """Return the blocks in their order; a fence that is never closed lasts to the end, since answers may be cut.

    An opening fence may stand behind words on its line, and a closing one behind the last line of code. A block is
    closed by the first fence that leaves a program behind, so that a fence in a docstring closes nothing; where none
    does, by the first.
    """
    lines = answer.split("\n")
    marks = {number: match for number, line in enumerate(lines) if (match := _fence(line))}
    blocks, number, openings = [], 0, 0
    while number < len(lines) and openings < _MOST_BLOCKS:
        if (opening := marks.get(number)) is None:
            number += 1
            continue
        openings += 1
        label = next(iter(re.findall(r"[\w+#]+", opening["label"].lower())), "")
        following = range(number + 1, len(lines))
        ends = islice((at for at in following if at in marks and _closes(marks[at], opening["fence"])), _MOST_ENDS)
        texts = {at: _inside(lines, marks, number, at) for at in ends}
        # Parsed lazily: the first end that leaves a program is enough.
        whole = (at for at, text in texts.items() if label not in _OTHER_LABELS and parsed(text) is not None)
        end = next(whole, next(iter(texts), len(lines)))
        text = texts[end] if end in texts else "\n".join(lines[number + 1 :])
        if text.strip():
            blocks.append(Block(label, text + "\n"))
        number = end + 1
    return blocks


def _fence(line: str) -> re.Match[str] | None:
    return _FENCE.match(line) if len(line) <= _LONGEST_LINE and ("```" in line or "~~~" in line) else None


def _closes(mark: re.Match[str], opening: str) -> bool:
    # As in CommonMark: the same character, at least as many of them, and no label.
    fence = mark["fence"]
    return fence[0] == opening[0] and len(fence) >= len(opening) and not mark["label"]


def _inside(lines: list[str], marks: dict[int, re.Match[str]], start: int, end: int) -> str:
    lead = marks[end]["lead"]
    return "\n".join([*lines[start + 1 : end], *([lead] if lead.strip() else [])])


def unfenced_parts(answer: str) -> list[str]:
    """Return the texts between (and around) all fences."""
    parts: list[list[str]] = [[]]
    for line in answer.split("\n"):
        if mark := _fence(line):
            parts[-1] += [mark["lead"]] if mark["lead"].strip() and not mark["label"] else []
            parts.append([])
        else:
            parts[-1].append(line)
    return ["\n".join(part) for part in parts[: 2 * _MOST_BLOCKS]]


def bare_programs(text: str) -> list[Program]:
    """Return the programs that stand in a text between lines of prose."""
    if (whole := parsed(text)) is not None:
        return [without_prose(whole)]
    lines, found, number, starts = text.split("\n"), [], 0, 0
    while number < len(lines) and starts < _MOST_STARTS:
        if not _LOOKS_LIKE_CODE.match(lines[number][:_LONGEST_LINE]):
            number += 1
            continue
        starts += 1
        size = longest_start(lines[number:])
        if size and (program := parsed("\n".join(lines[number : number + size]))) is not None:
            found.append(without_prose(program))
        number += max(size, 1)
    return found
