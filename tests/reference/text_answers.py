"""Answers that are texts, and what metrics make of them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from qstar_pl.data.text.keys import prompt_key
from qstar_pl.evaluation.metrics import Answers, Measurements, Metric
from qstar_pl.types import Example, Turn


def example(prompt: str, chosen: str | None = None, **metadata: object) -> Example:
    return Example(prompt_key(prompt), (Turn("user", prompt),), chosen, metadata=metadata)


def answers(texts: Sequence[tuple[str, Sequence[str]]], chosen: str | None = None, **rewards: Tensor) -> Answers:
    """Return answers to prompts, each with its answers; `chosen` is the data's own answer to all of them."""
    rows = [(example(prompt, chosen), text) for prompt, of_prompt in texts for text in of_prompt]
    return Answers(None, [text for _, text in rows], examples=[one for one, _ in rows], rewards=lambda: rewards)


def measured(metric: Metric, *batches: Answers) -> dict[str, float]:
    """Return the numbers over the batches."""
    measurements = Measurements([metric])
    for batch in batches:
        measurements.measure(metric, batch)
    return {key.removeprefix("val/"): float(value) for key, value in measurements.flush("val").items()}
