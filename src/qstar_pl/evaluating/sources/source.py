"""Where answers come from, as a strategy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qstar_pl.evaluating.prompts import Prompts
from qstar_pl.models.source import ModelSource


@dataclass(frozen=True)
class Answered:
    """Answers to the rows of a data set."""

    texts: Mapping[int, tuple[str, ...]]
    """Number of the row → its answers, one or more, in the order of the rows."""
    facts: Mapping[str, Any]
    """What the answers are, as results state it: the file and its digest, or the model and its fingerprint."""
    ignored: int = 0
    """Answers to rows that are not evaluated: outside the range, or left out of the data."""
    tokens: int = 0
    """Tokens that were generated for them now; 0 where nothing was."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What the user should know of them, a line each."""


@dataclass(frozen=True)
class Answering:
    """What a source is given to work with."""

    prompts: Prompts
    """The rows to be answered."""
    argument: str
    """What the user calls the source: answers or baseline."""
    generate: Callable[[ModelSource], Path]
    """Has a model answer, and returns the file of rows, as `qstar generate` writes it."""


class AnswerSource(ABC):
    """Where answers come from; a frozen dataclass whose fields are its options."""

    @abstractmethod
    def answers(self, asked: Answering) -> Answered:
        """Return the answers.

        Raises:
            UserError: if there are none, or some that belong to no prompt of the data; names the argument.

        """

    @property
    def model(self) -> ModelSource | None:
        """The model that is to answer; None: the answers are there already."""
        return None
