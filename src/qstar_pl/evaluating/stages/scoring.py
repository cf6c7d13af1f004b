"""Scores of answers by all metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from qstar_pl.evaluating.items import Item
from qstar_pl.evaluating.records import labels_of, rows_of
from qstar_pl.evaluation.metrics import Answers, Metric
from qstar_pl.evaluation.metrics.measurements import row_scores
from qstar_pl.evaluation.metrics.needs import Need
from qstar_pl.evaluation.text_rewards import TextRewards
from qstar_pl.generation.prompts import own_key
from qstar_pl.models.freeze import freeze

CHUNK = 32
"""Prompts scored together, and lost together by a kill."""


@dataclass(frozen=True)
class Scoring:
    """Metrics and rewards that are built."""

    metrics: Mapping[str, Metric]
    """By their labels."""
    rewards: Mapping[str, TextRewards]
    """"proxy" and "gold", those that there are."""
    of_references: frozenset[str] = frozenset()
    """Sides whose answers are the data's references: what compares with these says nothing of them."""

    @classmethod
    def built(
        cls,
        metrics: Sequence[Metric],
        rewards: Mapping[str, TextRewards],
        device: torch.device,
        tokenizer: Any,
        of_references: frozenset[str],
    ) -> Scoring:
        """Load what the metrics need, and move it to the device."""
        for metric in metrics:
            metric.build(tokenizer)
        for module in [model for metric in metrics for model in metric.models()]:
            freeze(module).to(device)
        for one in rewards.values():
            one.reward.to(device)
        return cls(labels_of(metrics), rewards, of_references)

    def records(self, items: Sequence[Item], side: str) -> list[dict[str, Any]]:
        """Return, prompt by prompt, label → name → {"per", "scores"}.

        Args:
            items: prompts.
            side: "answers" or "baseline", which is scored.

        """
        found: list[dict[str, Any]] = [{} for _ in items]
        texts = [getattr(item, side) for item in items]
        # A prompt that the data have twice is two prompts here: each has answers of its own.
        examples = [replace(item.example, key=own_key(item.example.key, number)) for number, item in enumerate(items)]
        flat = [(one, text) for one, own in zip(examples, texts, strict=True) for text in own]
        answers = Answers(
            None,
            [text for _, text in flat],
            examples=[example for example, _ in flat],
            rewards=lambda: {name: torch.tensor(one.scores(flat)) for name, one in self.rewards.items()},
        )
        for label, metric in self.metrics.items():
            if side in self.of_references and reads_references(metric):
                continue
            with torch.no_grad():
                scores = row_scores(metric, answers)
            for name, one in scores.items():
                # Where rows are summed, one that is not a number counts nowhere; where they are kept, it fills them up.
                kept = one if metric.all_rows else one.without_nan(name)
                for place, row in zip(found, rows_of(kept, answers.of_prompts), strict=True):
                    place.setdefault(label, {})[name] = {"per": one.per, "scores": row}
        return found


def reads_references(metric: Metric) -> bool:
    """Return whether a metric compares with the data's own answers."""
    return Need.REFERENCES in metric.needs
