"""A number that `validate` and `test` report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from qstar_pl.evaluation.metrics.drawing import Drawing
from qstar_pl.evaluation.metrics.evidence import Answers, Comparisons, Demonstrations
from qstar_pl.evaluation.metrics.sums import Sums, means


class Metric(ABC):
    """A metric as sums over rows, which are added up over batches and ranks before `compute` makes numbers of them.

    Derive from `AnswerMetric`, `DemonstrationMetric` or `ComparisonMetric`, as a frozen dataclass whose fields are its
    options, or as an `nn.Module`. A mean is `return total("name", values)`, and nothing else.
    """

    expensive: bool = False
    """Leave it out of the validations within `fit`; `validate` and `test` measure it. A metric that makes it a field of
    its own lets users decide."""

    def build(self, tokenizer: PreTrainedTokenizerBase) -> None:  # noqa: B027 (most need none)
        """Load the models that it needs (a judge, say); called once, from the LightningModule's `configure_model`."""

    def models(self) -> list[nn.Module]:
        """Return what `build` loaded: frozen, moved with the method's own models, in no checkpoint."""
        return []

    @abstractmethod
    def sums(self, evidence: Any) -> Mapping[str, Tensor]:
        """Return the sums [] over a batch's rows; {} if there is nothing to measure."""

    def compute(self, sums: Sums) -> Mapping[str, Tensor | float]:
        """Form the numbers, by their keys (without `val/` or `test/`); what was not measured is absent.

        Args:
            sums: over all rows of all ranks; the same on every rank.

        """
        return means(sums)


class AnswerMetric(Metric):
    """A metric of answers to prompts of the evaluation."""

    @property
    def drawing(self) -> Drawing:
        """Which answers it reads: one per prompt, drawn by the method's `evaluation_sampler`, unless it says more."""
        return Drawing()

    @abstractmethod
    def sums(self, answers: Answers) -> Mapping[str, Tensor]:
        """Return the sums [] over a batch's answers; {} if there is nothing to measure."""


class DemonstrationMetric(Metric):
    """A metric of what the policy thinks of answers that the data has."""

    @abstractmethod
    def sums(self, demonstrations: Demonstrations) -> Mapping[str, Tensor]:
        """Return the sums [] over a batch's demonstrations; {} if there is nothing to measure."""


class ComparisonMetric(Metric):
    """A metric of how a model ranks pairs that the data has."""

    @abstractmethod
    def sums(self, comparisons: Comparisons) -> Mapping[str, Tensor]:
        """Return the sums [] over a batch's pairs; {} if there is nothing to measure."""
