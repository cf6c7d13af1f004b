"""The data's own answers to a prompt."""

from __future__ import annotations

from qstar_pl.rewards.final_answer import FinalAnswerReward
from qstar_pl.types import Example


def references(example: Example) -> tuple[str, ...]:
    """Return the data's answers to a prompt, any of which is right: `metadata["answers"]`, else the preferred one."""
    answers = example.metadata.get("answers")
    if isinstance(answers, list | tuple):
        texts = tuple(text for text in answers if isinstance(text, str) and text.strip())
        if texts:
            return texts
    return () if example.chosen is None else (example.chosen,)


def final_answers(example: Example) -> tuple[str, ...]:
    """Return the right final answers to a prompt, as `FinalAnswerReward` finds them in its metadata or its row."""
    return tuple(FinalAnswerReward().references(example))
