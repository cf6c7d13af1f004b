"""Verdicts on answers and those of the baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qstar_pl.evaluating.items import Item
from qstar_pl.evaluation.judges import Comparison, Judge, ask

CHUNK = 64
"""Prompts judged together, and lost together by a kill."""
MANY = 4096
"""The same for a judge that keeps its verdicts itself: its workers seldom wait for each other."""


def chunk_of(judge: Judge) -> int:
    """Return how many prompts are judged together."""
    return MANY if judge.keeps_verdicts else CHUNK


def judge_items(judge: Judge, items: Sequence[Item], progress: Callable[[int], None] | None = None) -> list[Any]:
    """Return, prompt by prompt, {"verdicts": […]}, one for each answer.

    Args:
        judge: built.
        items: prompts with answers of both.
        progress: told how many verdicts have arrived.

    """
    asked = [Comparison(item.example, *pair) for item in items for pair in item.pairs()]
    verdicts = iter(ask(judge, asked, progress))
    return [{"verdicts": [_written(next(verdicts), pair) for pair in item.pairs()]} for item in items]


def _written(verdict: Any, pair: tuple[str, str]) -> dict[str, Any]:
    """Return a verdict as it is stored, with the lengths of both answers in characters."""
    said = {"preference": verdict.preference, "lengths": [len(text) for text in pair]}
    if verdict.reason is not None:
        said["reason"] = verdict.reason
    return {**said, **({"extra": dict(verdict.extra)} if verdict.extra else {})}
