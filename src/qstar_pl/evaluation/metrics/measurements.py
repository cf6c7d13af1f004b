"""The metrics of a method, and what they have measured so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics.by_part import by_part
from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import Metric, Numbers
from qstar_pl.evaluation.metrics.needs import Facts
from qstar_pl.evaluation.metrics.scores import Scores
from qstar_pl.evaluation.metrics.states import States
from qstar_pl.evaluation.metrics.sums import totals, with_rows
from qstar_pl.models.freeze import freeze


class Measurements(nn.Module):
    """Adds up what metrics measure, over batches on the device and over ranks when it is reported.

    A module, so that states and the models of metrics move to the method's device with it; none of them is ever saved.
    """

    def __init__(self, metrics: Sequence[Metric]) -> None:
        super().__init__()
        # `metrics+=` may name one that the method has already: it is measured once.
        self.of_all = tuple(metric for number, metric in enumerate(metrics) if metric not in metrics[:number])
        self.states = States()

    def check(self, facts: Facts, *, fitting: bool) -> None:
        """Check that what is due can be measured.

        Raises:
            UserError: if a metric that is not optional lacks what it needs.

        """
        check_needs([metric for metric in self.due(fitting=fitting) if not metric.optional], facts)

    def find(self) -> None:
        """Raise UserError if a language model that `build` will load is not there; no weights are loaded yet."""
        for metric in self.of_all:
            for source in metric.sources():
                source.capabilities(source.tokenizer())

    def build(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Load what the metrics need."""
        for metric in self.of_all:
            metric.build(tokenizer)
        self.models = nn.ModuleList(freeze(model) for metric in self.of_all for model in metric.models())

    def due(self, *, fitting: bool) -> list[Metric]:
        """Return the metrics that are measured now: all, but within `fit` none that is expensive."""
        return [metric for metric in self.of_all if not (fitting and metric.expensive)]

    def keys(self, *, fitting: bool, parts: Sequence[str] | None = ()) -> frozenset[str] | None:
        """Return under which keys something may be reported; None if a metric does not say.

        Args:
            fitting: whether validation within `fit` is meant.
            parts: of the mixture that the data are; None: not known.

        """
        of_each = [metric.keys for metric in self.due(fitting=fitting)]
        if parts is None or None in of_each:
            return None
        known = frozenset[str]().union(*(keys for keys in of_each if keys is not None))
        return known | {_key(key, part) for key in known for part in parts}

    def measure(self, metric: Metric, evidence: Any) -> None:
        """Add a batch of what the metric reads; of a mixture, its parts also each by itself."""
        index = next(index for index, one in enumerate(self.of_all) if one is metric)
        if metric.all_rows:
            for part, scores in by_part(row_scores(metric, evidence), evidence).items():
                for name, one in scores.items():
                    self.states.update(index, name, one.counted, one.per, part)
            return
        known = {name: one.without_nan(name) for name, one in metric.scores(evidence).items()}
        for part, scores in by_part(known, evidence).items():
            for name, value in totals(scores).items():
                self.states.update(index, name, value, part=part)

    def flush(self, prefix: str) -> dict[str, Tensor | float]:
        """Return `<prefix>/<key>` of all that was measured on any rank, and start anew; every rank must call it.

        Of a mixture, the same of each part that has rows is under `<prefix>/<key>/<part>`.

        Raises:
            UserError: if two metrics report under one key.

        """
        values: dict[str, Tensor | float] = {}
        reported_by: dict[str, Metric] = {}
        found = self.states.over_ranks()
        for index, metric in enumerate(self.of_all):
            for part in dict.fromkeys(part for place, _, part in found if place == index):
                own = {name: value for (place, name, of), value in found.items() if (place, of) == (index, part)}
                for key, value in _formed(metric, own).items():
                    if (whole := _key(key, part)) in reported_by:
                        names = " and ".join(type(one).__name__ for one in (reported_by[whole], metric))
                        raise UserError(f"metrics must report under keys of their own, got {whole} of {names}")
                    reported_by[whole] = metric
                    values[f"{prefix}/{whole}"] = value
        self.states.reset()
        return values


def check_needs(metrics: Sequence[Metric], facts: Facts, option: str = "metrics") -> None:
    """Check, before anything is loaded or drawn, that all metrics can be measured.

    Raises:
        UserError: names the first that cannot, and what it lacks.

    """
    for metric in metrics:
        if (reason := metric.missing(facts)) is not None:
            raise UserError(f"{option} must be measurable here: {type(metric).__name__} {reason}")


def row_scores(metric: Metric, evidence: Any) -> dict[str, Scores]:
    """Return the metric's scores of what it reads.

    Raises:
        ValueError: if there are not as many as answers, or prompts.

    """
    scores = dict(metric.scores(evidence))
    if isinstance(evidence, Answers):
        rows = {"answer": len(evidence), "prompt": len(evidence.of_prompts)}
        for name, one in scores.items():
            if len(one) != rows[one.per]:
                raise ValueError(f"{name} must have a score for each {one.per}, got {len(one)} for {rows[one.per]}")
    return scores


def _key(key: str, part: str | None) -> str:
    return key if part is None else f"{key}/{part}"


def _formed(metric: Metric, found: Mapping[str, Tensor | Scores]) -> Numbers:
    rows = {name: one for name, one in found.items() if isinstance(one, Scores) and len(one)}
    sums = with_rows({name: one for name, one in found.items() if isinstance(one, Tensor)})
    if metric.all_rows:
        return metric.compute_rows(rows) if rows else {}
    return metric.compute(sums) if sums else {}
