"""How far the policy has moved from a model that is not its own start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import AnswerMetric
from qstar_pl.evaluation.metrics.needs import Need
from qstar_pl.evaluation.metrics.scores import Scores
from qstar_pl.models import LanguageModel
from qstar_pl.models.source import ModelSource
from qstar_pl.models.tokenizers import vocabulary_difference


@dataclass(frozen=True)
class KLFrom(AnswerMetric):
    """`kl_policy_base`: mean over answers of Σ_t D(π_θ‖another model), exact over the vocabulary, nats per answer.

    Of a later stage, whose π_init is where the stage before has ended, it says how far all stages have gone together.
    """

    model: ModelSource
    """From which model; it must read the policy's own tokens."""
    name: str = "kl_policy_base"
    """The key; with two models, one of them needs another."""
    _built: list[LanguageModel] = field(default_factory=list, init=False, repr=False, compare=False)
    """The model, once `build` has loaded it."""

    @property
    def keys(self) -> frozenset[str]:
        """See `Metric.keys`."""
        return frozenset({self.name})

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`."""
        return frozenset({Need.TOKENS})

    def sources(self) -> list[ModelSource]:
        """See `Metric.sources`."""
        return [self.model]

    def build(self, tokenizer: PreTrainedTokenizerBase | None) -> None:
        """See `Metric.build`.

        Raises:
            UserError: if the model reads other tokens than the policy.

        """
        own = self.model.tokenizer()
        if tokenizer is None or (difference := vocabulary_difference(tokenizer, own)) is not None:
            got = "texts of a file" if tokenizer is None else difference
            raise UserError(f"metrics.model must read the policy's tokens, got {got}")
        loaded: PreTrainedModel = self.model.load()
        self._built[:] = [LanguageModel(loaded, own)]

    def models(self) -> list[nn.Module]:
        """See `Metric.models`."""
        return [one.model for one in self._built]

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`."""
        return {self.name: Scores.all(answers.divergences_from(self._built[0]).sum(-1))}
