"""What a metric cannot do without, checked before anything is loaded or drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from qstar_pl.evaluation.metrics.references import final_answers, references
from qstar_pl.sandbox import TASKS
from qstar_pl.types import Example


class Need(Enum):
    """One thing that a metric needs; the value is how a message names it."""

    REFERENCES = "a reference answer (chosen, or answers)"
    FINAL_ANSWERS = "a final answer (final_answer, or answers)"
    TESTS = "tests of programs"
    REWARD = "the reward that is maximized (reward)"
    GOLD = "a gold reward (gold)"
    TOKENS = "tokens and log-probabilities, which answers of a model have"
    REFERENCE_MODEL = "a model to compare with (reference)"
    SAMPLES = "two or more answers to a prompt"


@dataclass(frozen=True)
class Facts:
    """What an evaluation has."""

    examples: Sequence[Example] | None = None
    """The rows that are answered; None: not known."""
    where: str = "the data"
    """Where they come from."""
    rewards: frozenset[str] = frozenset()
    """Which of "proxy" and "gold" `Answers.rewards` will have."""
    tokens: bool = True
    """Whether a model answers, whose tokens are known; otherwise answers are texts alone."""
    reference: bool = True
    """Whether there is a π_init, or what stands for it."""
    moved_by: str | None = None
    """What moves π_init while the policy trains; None: nothing does."""
    redraws: bool = True
    """Whether another model can be asked to answer as the policy does."""
    samples: int | None = None
    """Most answers to a prompt; None: as many as the metric's `drawing` asks for."""


_OF_ROWS: Mapping[Need, Callable[[Example], bool]] = {
    Need.REFERENCES: lambda example: bool(references(example)),
    Need.FINAL_ANSWERS: lambda example: bool(final_answers(example)),
    Need.TESTS: lambda example: example.metadata.get("task") in TASKS,
}


def lacking(need: Need, facts: Facts) -> str | None:
    """Return what is there in place of a need, for a message; None if it is met.

    Needs of rows are met by one row: the others do not count.
    """
    match need:
        case Need.REWARD | Need.GOLD:
            return None if {Need.REWARD: "proxy", Need.GOLD: "gold"}[need] in facts.rewards else "none"
        case Need.TOKENS:
            return None if facts.tokens else "texts alone"
        case Need.REFERENCE_MODEL:
            return None if facts.reference else "none"
        case Need.SAMPLES:
            return None if facts.samples is None or facts.samples > 1 else f"{facts.samples} to each"
    if facts.examples is None or any(_OF_ROWS[need](example) for example in facts.examples):
        return None
    return f"none in {len(facts.examples)} rows of {facts.where}"
