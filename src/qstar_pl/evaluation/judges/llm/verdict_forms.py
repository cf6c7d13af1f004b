"""The form in which a template asks for its verdict, and the only one in which a reply counts as one."""

from __future__ import annotations

import ast
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

LONGEST_LIST = 2_000
"""Characters: a longer reply is no ranking of two models, and is not read as Python."""


class UnparsableError(Exception):
    """A reply holds no verdict in the form that was asked for; the text says what is missing."""


class VerdictForm(ABC):
    """Reads a reply."""

    @abstractmethod
    def read(self, reply: str) -> float:
        """Return what a reply says: for a pair how far it prefers the answer shown first (1, 0.5, 0), or a score.

        Raises:
            UnparsableError: if it is not in this form, or says more than one thing.

        """


class PairForm(VerdictForm):
    """Of replies that prefer one of two answers."""


@dataclass(frozen=True)
class Marks(PairForm):
    """One of two or three marks on the last line of the reply that is not empty."""

    first: str
    """Says that the answer shown first is better."""
    second: str
    tie: str | None = None
    """None: the template knows no ties."""
    alone: bool = True
    """Whether the line holds the mark and nothing else (but Markdown's emphasis); else it holds one mark somewhere."""

    def read(self, reply: str) -> float:
        """See `VerdictForm.read`."""
        return self.values[self.mark(reply)]

    def mark(self, reply: str) -> str:
        """Return the mark on the last line.

        Raises:
            UnparsableError: if there is none, or more than one.

        """
        line = last_line(reply)
        found = [mark for mark in self.values if (line == mark if self.alone else mark in line)]
        if not found and self.alone:
            found = [mark for mark in self.values if line.strip("*_` ") == mark]
        if len(found) != 1:
            raise UnparsableError("several marks on the last line" if found else "no mark on the last line")
        return found[0]

    @property
    def values(self) -> Mapping[str, float]:
        """What each mark says of the answer shown first."""
        known = {self.first: 1.0, self.second: 0.0}
        return known if self.tie is None else {**known, self.tie: 0.5}

    @property
    def common(self) -> str:
        """What all marks begin with: the token after it decides."""
        low, high = min(self.values), max(self.values)
        same = (index for index, (one, other) in enumerate(zip(low, high, strict=False)) if one != other)
        return low[: next(same, len(low))]


@dataclass(frozen=True)
class Ranking(PairForm):
    """AlpacaEval's list of two models and their ranks, as a Python literal: the whole reply."""

    first: str = "model_1"
    second: str = "model_2"

    def read(self, reply: str) -> float:
        """See `VerdictForm.read`."""
        if len(reply) > LONGEST_LIST:
            raise UnparsableError("longer than a list of two ranks")
        try:
            listed = ast.literal_eval(reply.strip())
            ranks = {one["model"]: one["rank"] for one in listed}
        except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError) as error:
            raise UnparsableError("no list of models and ranks") from error
        if len(listed) != 2 or ranks not in ({self.first: 1, self.second: 2}, {self.first: 2, self.second: 1}):
            raise UnparsableError("not the ranks 1 and 2 of the two models")
        return float(ranks[self.first] == 1)


@dataclass(frozen=True)
class Score(VerdictForm):
    """A number within bounds on the last line of the reply that is not empty."""

    before: str
    """What stands before the number, e.g. "Score: "."""
    after: str = ""
    lowest: float = 1.0
    highest: float = 10.0
    alone: bool = True
    """Whether the line holds nothing else (but Markdown's emphasis)."""

    def read(self, reply: str) -> float:
        """See `VerdictForm.read`."""
        line = last_line(reply)
        form = rf"{re.escape(self.before)}(-?\d{{1,6}}(?:\.\d{{1,6}})?){re.escape(self.after)}"
        if self.alone:
            match = re.fullmatch(form, line) or re.fullmatch(form, line.strip("*_` "))
            found = [match[1]] if match else []
        else:
            found = re.findall(form, line)
        if len(found) != 1:
            raise UnparsableError("several scores on the last line" if found else "no score on the last line")
        if not self.lowest <= float(found[0]) <= self.highest:
            raise UnparsableError(f"a score outside of {self.lowest:g} to {self.highest:g}")
        return float(found[0])


def last_line(reply: str) -> str:
    """Return the last line that is not empty, without spaces around it; "" if there is none."""
    return reply.strip().rpartition("\n")[2].strip()
