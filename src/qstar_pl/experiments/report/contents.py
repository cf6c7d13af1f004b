"""What a results folder holds, as plain records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Run:
    """One cell with one seed."""

    cell: str
    seed: int
    factors: Mapping[str, str]
    """"method" and every axis → the level."""
    classes: Mapping[str, str]
    """"model", "sampler", "alpha", "target", "weights" → the class of that part; empty where a folder does not say."""
    status: str
    """"finished", "failed" or "unfinished"."""
    reason: str
    """Why it failed; "" if it did not."""
    off_budget: str
    """Where it ended instead of its budget; ""."""
    spent: Mapping[str, float]
    """"steps", "samples", "generated", "tokens" at its end."""
    before: Mapping[str, float]
    """Validation before the first step; NaN where a number was not finite."""
    after: Mapping[str, float]
    """The last validation; empty unless finished."""
    held_out: str
    """The same for runs with the same held-out prompts."""
    command: str
    """Repeats it."""
    folder: str
    """Beside results.json."""
    code: str
    """Version that ran it."""
    seconds: float | None
    """Wall time of its last start, with loading and validation; None where it is not known."""

    @property
    def is_finished(self) -> bool:
        """Whether it has come to its end."""
        return self.status == "finished"


@dataclass(frozen=True)
class Points:
    """A curve of one run."""

    x: Floats
    """[points], rising."""
    y: Floats
    """[points]; NaN where a number was not finite."""

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Answer:
    """The answer to one held-out prompt, drawn from π_θ."""

    cell: str
    seed: int
    step: int
    """0, or that of the last validation."""
    prompt: int
    """Number within the held-out set."""
    prompt_text: str
    completion: str
    tokens: int
    reward_gold: float | None
    reward_proxy: float | None
    key: str | None = None
    """Of the prompt, the same in all runs wherever it stands; None where a folder has none."""
    part: str | None = None
    """Of the mixture that the held-out data are; None of a single dataset."""

    def is_to_prompt_of(self, other: Answer) -> bool:
        """Return whether both are to the same prompt: by their keys, or by its number where one has none."""
        if self.key is None or other.key is None:
            return self.prompt == other.prompt
        return self.key == other.key


@dataclass(frozen=True)
class Histogram:
    """How often a quantity of one run fell where, over the steps of a log window."""

    step: int
    """The end of the window."""
    low: Floats
    """[bins], lower edges; −inf of an open bin."""
    high: Floats
    """[bins], upper edges; inf of an open bin."""
    count: Floats
    """[bins]"""
