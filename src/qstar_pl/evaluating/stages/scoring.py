"""Scores of answers by all metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from qstar_pl.evaluating.items import Item
from qstar_pl.evaluating.records import labels_of, rows_of
from qstar_pl.evaluating.stages.model_reading import ModelReading
from qstar_pl.evaluation.metrics import Answers, ComparisonMetric, DemonstrationMetric, Metric, Scores
from qstar_pl.evaluation.metrics.measurements import row_scores
from qstar_pl.evaluation.metrics.needs import Need
from qstar_pl.evaluation.text_rewards import TextRewards
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
    models: Mapping[str, ModelReading] = field(default_factory=dict)
    """By the side that they answer: models that read tokens, for metrics that need them."""

    @classmethod
    def built(
        cls,
        metrics: Sequence[Metric],
        rewards: Mapping[str, TextRewards],
        device: torch.device,
        tokenizer: Any,
        of_references: frozenset[str],
        models: Mapping[str, ModelReading],
    ) -> Scoring:
        """Load what the metrics need, and move it to the device."""
        for metric in metrics:
            metric.build(tokenizer)
        for module in [model for metric in metrics for model in metric.models()]:
            freeze(module).to(device)
        for one in rewards.values():
            one.reward.to(device)
        return cls(labels_of(metrics), rewards, of_references, models)

    def records(self, items: Sequence[Item], side: str) -> list[dict[str, Any]]:
        """Return, prompt by prompt, label → name → {"per", "scores"}.

        Args:
            items: prompts.
            side: "answers" or "baseline", which is scored.

        """
        found: list[dict[str, Any]] = [{} for _ in items]
        texts = [getattr(item, side) for item in items]
        flat = [(item.example, text) for item, own in zip(items, texts, strict=True) for text in own]
        answers = Answers(
            None,
            [text for _, text in flat],
            examples=[example for example, _ in flat],
            sizes=list(map(len, texts)),  # a prompt that the data have twice is two here, with answers of their own
            rewards=lambda: {name: torch.tensor(one.scores(flat)) for name, one in self.rewards.items()},
        )
        of_model = _OfModel(self.models.get(side), items, answers)
        for label, metric in self.metrics.items():
            if side in self.of_references and reads_references(metric):
                continue
            with torch.no_grad():
                for places, evidence in of_model.evidence(metric):
                    _add(found, places, label, metric, row_scores(metric, evidence), answers.of_prompts)
        return found


class _OfModel:
    """What metrics read of one side; what a model has to say is computed once."""

    def __init__(self, model: ModelReading | None, items: Sequence[Item], answers: Answers) -> None:
        self.model = model
        self.items = items
        self.texts = answers
        self.everywhere = list(range(len(items)))

    def evidence(self, metric: Metric) -> Sequence[tuple[list[int], Any]]:
        """Return what the metric reads, each with the places of its prompts; nothing where the side lacks it."""
        if Need.TOKENS not in metric.needs:
            return [(self.everywhere, self.texts)]
        without = Need.REFERENCE_MODEL in metric.needs and (self.model is None or self.model.reference is None)
        if self.model is None or without:
            return []
        match metric:
            case DemonstrationMetric():
                return self._demonstrations
            case ComparisonMetric():
                return self._comparisons
        return [(self.everywhere, self._drawn)]

    @cached_property
    def _drawn(self) -> Answers:
        assert self.model is not None
        return self.model.answers(self.items, self.texts)

    @cached_property
    def _demonstrations(self) -> list[tuple[list[int], Any]]:
        assert self.model is not None
        return list(self.model.demonstrations(self.items))

    @cached_property
    def _comparisons(self) -> list[tuple[list[int], Any]]:
        assert self.model is not None
        return list(self.model.comparisons(self.items))


def _add(
    found: Sequence[dict[str, Any]],
    places: Sequence[int],
    label: str,
    metric: Metric,
    scores: Mapping[str, Scores],
    of_prompts: Sequence[slice],
) -> None:
    for name, one in scores.items():
        # Where rows are summed, one that is not a number counts nowhere; where they are kept, it fills them up.
        kept = one if metric.all_rows else one.without_nan(name)
        for place, row in zip(places, rows_of(kept, [of_prompts[place] for place in places]), strict=True):
            found[place].setdefault(label, {})[name] = {"per": one.per, "scores": row}


def reads_references(metric: Metric) -> bool:
    """Return whether a metric compares with the data's own answers."""
    return Need.REFERENCES in metric.needs
