"""Which models read tokens for metrics, and against which other one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from qstar_pl.data.text.encoding import Encoder
from qstar_pl.describing import described
from qstar_pl.errors import UserError
from qstar_pl.evaluating.folder import EvaluationFolder
from qstar_pl.evaluating.settings import EvaluationSettings
from qstar_pl.evaluating.sources import Answered, AnswerSource
from qstar_pl.evaluating.sources.drawn_tokens import DrawnTokens
from qstar_pl.evaluating.stages.model_reading import ModelReading, policy_of, reference_of
from qstar_pl.evaluation.metrics import AnswerMetric, ComparisonMetric, DemonstrationMetric, Metric
from qstar_pl.evaluation.metrics.needs import Facts, Need
from qstar_pl.generation.data import GenerationData
from qstar_pl.generation.fingerprint import fingerprint
from qstar_pl.generation.workspace import Workspace
from qstar_pl.models.language_model import LanguageModel
from qstar_pl.models.next_token import NextToken
from qstar_pl.models.run_date import begin_run
from qstar_pl.models.source import ModelSource
from qstar_pl.models.tokenizers import load_tokenizer


@dataclass(frozen=True)
class Reading:
    """What metrics ask of the models that answer, known before any of them is loaded."""

    settings: EvaluationSettings
    metrics: tuple[Metric, ...]
    sources: Mapping[str, AnswerSource]
    """By side."""

    @property
    def of_models(self) -> bool:
        """Whether a metric asks a model anything."""
        return any(Need.TOKENS in metric.needs for metric in self.metrics)

    @property
    def of_drawn(self) -> bool:
        """Whether a metric reads the tokens of the answers."""
        return any(Need.TOKENS in metric.needs and isinstance(metric, AnswerMetric) for metric in self.metrics)

    @property
    def _compares(self) -> bool:
        return any(Need.REFERENCE_MODEL in metric.needs for metric in self.metrics)

    def reference(self) -> tuple[str, ModelSource] | None:
        """Return what the models are compared with, and which argument says so; None: nothing is there, or asked for.

        Raises:
            UserError: if `reference` is no model, or a checkpoint does not say where it started.

        """
        if not self._compares or self.sources["answers"].model is None:
            return None
        if (named := self.settings.reference_source()) is not None:
            return "reference", named
        baseline = self.sources["baseline"].model if "baseline" in self.sources else None
        return None if baseline is None else ("baseline", baseline)

    def identity(self) -> dict[str, Any]:
        """Return what scores depend on beside the answers; empty where no metric asks a model."""
        if not self.of_models:
            return {}
        found = self.reference()
        return {
            "reference": None if found is None else described(found[1]),
            "max_completion_tokens": self.settings.longest_given,
        }

    def built(
        self,
        answered: Mapping[str, Answered],
        data: GenerationData,
        folder: EvaluationFolder,
        device: torch.device,
    ) -> dict[str, ModelReading]:
        """Load the models, by the side that they answer.

        Raises:
            UserError: if the reference has other tokens, or a model is no longer the one that has answered.

        """
        if not self.of_models:
            return {}
        compared = self.reference()
        found: dict[str, ModelReading] = {}
        for side, source in self.sources.items():
            if (model := source.model) is None:
                continue
            file = folder.generated(side)
            if (date := Workspace(file).stored().get("date")) is not None:
                begin_run(date)  # prompts are rendered as they were when they were answered
            policy = policy_of(model, device, self.settings.precision)
            _check_same(policy, answered[side], side)
            assert policy.tokenizer is not None, "policy_of gives it one"
            # Prompts are encoded as they were answered.
            tokenizer = (
                load_tokenizer(data.tokenizer, argument="data.tokenizer") if data.tokenizer else policy.tokenizer
            )
            limits = self.settings.prompts().max_prompt_tokens, self.settings.longest_given
            found[side] = ModelReading(
                policy,
                self._reference(side, model, policy, compared, device),
                Encoder(tokenizer, *limits, rendering=data.rendering),
                DrawnTokens.read(file, side) if self.of_drawn else None,
                device,
                _shortest(model, None if compared is None else compared[1]),
                self.settings.precision,
            )
        return found

    def _reference(
        self,
        side: str,
        model: ModelSource,
        policy: LanguageModel,
        compared: tuple[str, ModelSource] | None,
        device: torch.device,
    ) -> NextToken | None:
        if compared is None or (compared[1] == model and side == "baseline"):
            return None  # a model against itself is no news
        try:
            return reference_of(compared[1], policy, compared[0], device, self.settings.precision)
        except UserError:
            if side == "answers":
                raise
            return None  # the baseline has other tokens; nothing is said of it


def check_given(metrics: Iterable[Metric], facts: Facts) -> None:
    """Check that the data have what metrics of their own answers read.

    Raises:
        UserError: names the metric, and what is missing.

    """
    examples = facts.examples or ()
    answers = sum(one.chosen is not None for one in examples)
    pairs = sum(one.chosen is not None and one.rejected is not None for one in examples)
    for metric in metrics:
        wanted = {DemonstrationMetric: ("an answer (chosen)", answers), ComparisonMetric: ("a pair", pairs)}
        for kind, (what, count) in wanted.items():
            if isinstance(metric, kind) and not count:
                raise UserError(
                    f"metrics must be measurable here: {type(metric).__name__} needs {what} in the data, got none in "
                    f"{len(examples)} rows of {facts.where}"
                )


def _shortest(*models: ModelSource | None) -> int | None:
    """Return the longest sequence that all of the models can read."""
    limits = [model.capabilities().context.limit for model in models if model is not None]
    return min((limit for limit in limits if limit is not None), default=None)


def _check_same(policy: LanguageModel, answered: Answered, side: str) -> None:
    weights = answered.facts.get("weights")
    if weights is not None and fingerprint(policy.model) != weights:
        raise UserError(
            f"{side} must be the model that has answered, got other weights than those of the stored answers; "
            "--overwrite generates them anew"
        )
