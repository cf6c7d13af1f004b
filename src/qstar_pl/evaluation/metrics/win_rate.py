"""How often an answer beats another one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from lightning.pytorch.utilities import rank_zero_warn
from torch import nn
from transformers import PreTrainedTokenizerBase

from qstar_pl.checks import at_least
from qstar_pl.evaluation.judges import Comparison, Judge, Verdict, ask
from qstar_pl.evaluation.metrics.baselines import Baseline, Preferred
from qstar_pl.evaluation.metrics.drawing import Drawing
from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import AnswerMetric
from qstar_pl.evaluation.metrics.needs import Facts, Need
from qstar_pl.evaluation.metrics.scores import Scores
from qstar_pl.models.source import ModelSource

NO_BASELINE = "there is nothing to compare it with"


@dataclass(frozen=True)
class WinRate(AnswerMetric):
    """`win_rate`: mean preference of a judge for the answers over those of a baseline; a tie counts one half.

    Also `win_rate/discrete`, in which a preference above one half is a win and one below it a loss; `win_rate/ties`,
    the share of the verdicts that are ties; and `win_rate/no_verdict`, the share of the answers without a verdict,
    which count in no other number. Of several answers to a prompt, each is compared with a baseline's answer of its
    own, as far as there are.
    """

    judge: Judge
    """Who compares; validations within `fit` leave the metric out if `judge.expensive`."""
    baseline: Baseline = field(default_factory=Preferred)
    """What the answers must beat."""
    samples: int = 1
    """Answers to each prompt."""
    greedy: bool = False
    """Compare the most probable answers instead of drawn ones."""
    name: str = "win_rate"
    """The key; with two judges, one of them needs another."""

    def __post_init__(self) -> None:
        at_least(1, samples=self.samples)
        object.__setattr__(self, "expensive", self.judge.expensive)  # metrics are frozen

    @property
    def drawing(self) -> Drawing:
        """See `AnswerMetric.drawing`."""
        return Drawing(self.samples, self.greedy)

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`; those of the baseline."""
        return self.baseline.needs

    def compares(self, key: str) -> bool:
        """See `Metric.compares`; shares of ties and of missing verdicts are no merit of a side."""
        return not key.endswith(("/ties", "/no_verdict"))

    def missing(self, facts: Facts) -> str | None:
        """See `Metric.missing`; also asks the baseline, and whether the judge knows any of the rows."""
        if (lacking := self.baseline.missing(facts)) is not None:
            return f"needs {lacking}"
        if (reason := super().missing(facts)) is not None:
            return reason
        if not facts.examples or any(self.judge.unknown(example) is None for example in facts.examples):
            return None
        judge, reason = type(self.judge).__name__, self.judge.unknown(facts.examples[0])
        rows = f"{len(facts.examples)} rows of {facts.where}"
        return f"needs a judge that knows the rows, got {judge} for {rows}: {reason}"

    def sources(self) -> list[ModelSource]:
        """See `Metric.sources`; those of the baseline."""
        return self.baseline.sources()

    def build(self, tokenizer: PreTrainedTokenizerBase | None) -> None:
        """See `Metric.build`."""
        self.judge.build(tokenizer)
        self.baseline.build(tokenizer)

    def models(self) -> list[nn.Module]:
        """See `Metric.models`."""
        return [*self.judge.models(), *self.baseline.models()]

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`."""
        preferences = [verdict.preference for verdict in self.verdicts(answers)]
        return {
            self.name: Scores.of(preferences),
            f"{self.name}/discrete": Scores.of([None if one is None else _discrete(one) for one in preferences]),
            f"{self.name}/ties": Scores.of([None if one is None else float(one == 0.5) for one in preferences]),
            f"{self.name}/no_verdict": Scores.of([float(one is None) for one in preferences]),
        }

    def verdicts(self, answers: Answers) -> list[Verdict]:
        """Return the judge's verdict on each answer [rows]."""
        pairs = list(zip(answers.examples, answers.texts, self.baseline.texts(answers), strict=True))
        asked = [Comparison(example, text, other) for example, text, other in pairs if other is not None]
        judged = iter(ask(self.judge, asked))
        verdicts = [Verdict(None, NO_BASELINE) if other is None else next(judged) for _, _, other in pairs]
        missing = Counter(verdict.reason for verdict in verdicts if verdict.preference is None)
        if missing:
            reason, count = missing.most_common(1)[0]
            rank_zero_warn(f"{self.name}: {missing.total()} of {len(pairs)} have no verdict, {count}: {reason}")
        return verdicts


def _discrete(preference: float) -> float:
    return 0.5 if preference == 0.5 else float(preference > 0.5)
