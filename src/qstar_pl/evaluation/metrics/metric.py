"""A number that `validate`, `test` and `qstar evaluate` report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from qstar_pl.evaluation.metrics.drawing import Drawing
from qstar_pl.evaluation.metrics.evidence import Answers, Comparisons, Demonstrations
from qstar_pl.evaluation.metrics.needs import Facts, Need, lacking
from qstar_pl.evaluation.metrics.scores import Scores
from qstar_pl.evaluation.metrics.sums import Sums, means, totals, with_rows
from qstar_pl.models.source import ModelSource

Numbers = Mapping[str, Tensor | float]
"""Key (without `val/` or `test/`) → number."""


class Metric(ABC):
    """A metric as scores of rows, whose sums over batches and ranks `compute` makes numbers of.

    Derive from `AnswerMetric`, `DemonstrationMetric` or `ComparisonMetric`, as a frozen dataclass whose fields are its
    options, or as an `nn.Module`. A mean is `return {"name": Scores.of(values)}`, and nothing else. A number that is
    no mean of rows overrides `compute`, which gets their sums; one that is no function of sums at all (a rank
    correlation) sets `all_rows` and overrides `compute_rows`.
    """

    expensive: bool = False
    """Leave it out of the validations within `fit`; `validate` and `test` measure it. A metric that makes it a field of
    its own lets users decide."""
    optional: bool = False
    """Whether `validate` and `test` leave it out, instead of refusing to start, where they lack what it needs."""
    all_rows: bool = False
    """Whether its numbers are formed of all rows (`compute_rows`), since they are no function of sums."""

    counts_different: bool = False
    """Whether it counts different things, to which a row that is drawn twice adds nothing: then resampling says nothing
    of how its numbers vary, and they get no interval."""

    bounds: tuple[float, float] | None = None
    """Between which its numbers lie by what they are; no interval of one reaches beyond. None: it does not say."""
    of_shares: bool = False
    """Whether its numbers are means of shares, as of the programs that pass: they have Wilson's interval within
    `bounds` also where a row is a share of several answers. What is 0 or 1 in every row needs not say so."""

    @property
    def keys(self) -> frozenset[str] | None:
        """Under which keys it may report, all of them; None: it does not say before it has measured."""
        return None

    @property
    def needs(self) -> frozenset[Need]:
        """What it cannot do without."""
        return frozenset()

    @property
    def signatures(self) -> Mapping[str, str]:
        """How a paper would say which variant a number is, by its key; most are their name alone."""
        return {}

    def compares(self, key: str) -> bool:
        """Return whether sides are compared in a number; not in one that only says how another was measured."""
        return True

    def missing(self, facts: Facts) -> str | None:
        """Return why it cannot be measured, as "needs …, got …"; None if it can. Asked before anything is loaded."""
        for need in sorted(self.needs, key=lambda one: one.name):
            if (found := lacking(need, facts)) is not None:
                return f"needs {need.value}, got {found}"
        return None

    def sources(self) -> list[ModelSource]:
        """Return where `build` has language models from; they are asked for before a run writes anything."""
        return []

    def build(self, tokenizer: PreTrainedTokenizerBase | None) -> None:  # noqa: B027 (most need none)
        """Load the models that it needs (a judge, say); called once, before anything is measured.

        Args:
            tokenizer: of the policy; None where answers are texts of a file.

        """

    def models(self) -> list[nn.Module]:
        """Return what `build` loaded: frozen, moved with the method's own models, in no checkpoint."""
        return []

    @abstractmethod
    def scores(self, evidence: Any) -> Mapping[str, Scores]:
        """Return what each row adds, by name; {} if there is nothing to measure."""

    def compute(self, sums: Sums) -> Numbers:
        """Form the numbers; what was not measured is absent.

        Args:
            sums: over all rows of all ranks, only those that a row has added to; under `name/count`, how many rows.

        """
        return means(sums)

    def compute_rows(self, rows: Mapping[str, Scores]) -> Numbers:
        """Form the numbers of a metric with `all_rows`.

        Args:
            rows: all rows of all ranks, rank by rank; rows of a smaller width are filled up with NaN.

        """
        return self.compute(with_rows(totals(rows)))


def numbers(metric: Metric, scores: Mapping[str, Scores]) -> Numbers:
    """Return what a metric makes of row scores, of all rows or of those that a resampling drew."""
    if metric.all_rows:
        return metric.compute_rows(scores)
    sums = with_rows(totals(scores))
    return metric.compute(sums) if sums else {}


class AnswerMetric(Metric):
    """A metric of answers to prompts of the evaluation."""

    @property
    def drawing(self) -> Drawing:
        """Which answers it reads: one per prompt, drawn by the method's `evaluation_sampler`, unless it says more."""
        return Drawing()

    @abstractmethod
    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """Return what each answer, or each prompt, adds, by name; {} if there is nothing to measure."""


class DemonstrationMetric(Metric):
    """A metric of what the policy thinks of answers that the data has."""

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`."""
        return frozenset({Need.TOKENS})

    @abstractmethod
    def scores(self, demonstrations: Demonstrations) -> Mapping[str, Scores]:
        """Return what each demonstration adds, by name; {} if there is nothing to measure."""


class ComparisonMetric(Metric):
    """A metric of how a model ranks pairs that the data has."""

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`."""
        return frozenset({Need.TOKENS, Need.REFERENCE_MODEL})

    @abstractmethod
    def scores(self, comparisons: Comparisons) -> Mapping[str, Scores]:
        """Return what each pair adds, by name; {} if there is nothing to measure."""
