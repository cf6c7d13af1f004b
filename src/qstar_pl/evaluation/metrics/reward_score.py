"""What the answers are worth to a reward of the metric's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from qstar_pl.data.text.rendering import Rendering, TokenizerRendering
from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import AnswerMetric
from qstar_pl.evaluation.metrics.needs import Facts
from qstar_pl.evaluation.metrics.scores import Scores
from qstar_pl.evaluation.text_rewards import TextRewards, scorer_of
from qstar_pl.rewards import Reward


@dataclass(frozen=True)
class RewardScore(AnswerMetric):
    """`reward_<name>`: mean over answers of a second reward, any `Reward`: another reward model, tests of programs, ….

    Answers that are drawn here are scored by their tokens, as the method's own rewards score them; texts of a file
    are tokenized for the reward's own model. Rows that it does not know do not count.
    """

    reward: Reward
    """What scores the answers."""
    name: str = "second"
    """What the number is called."""
    rendering: Rendering = field(default_factory=TokenizerRendering)
    """How dialogues become text, where answers are texts of a file."""
    rows_per_batch: int = 64
    """Texts scored at a time."""
    expensive: bool = False
    """Leave it out of the validations within `fit`."""
    _of_texts: list[TextRewards] = field(default_factory=list, init=False, repr=False, compare=False)
    """The scorer, once `build` has made it."""

    def __post_init__(self) -> None:
        if not self.name.strip() or "/" in self.name:
            raise UserError(f"name must be a word without /, got {self.name!r}")

    @property
    def key(self) -> str:
        """The key of the number."""
        return f"reward_{self.name}"

    @property
    def keys(self) -> frozenset[str]:
        """See `Metric.keys`."""
        return frozenset({self.key})

    def missing(self, facts: Facts) -> str | None:
        """See `Metric.missing`."""
        reasons = [reason for example in facts.examples or () if (reason := self.reward.unknown(example)) is not None]
        rows = len(facts.examples or ())
        if not reasons or (self.reward.some_unknown and len(reasons) < rows):
            return super().missing(facts)
        kind, those = type(self.reward).__name__, f"{len(reasons)} of {rows} rows of {facts.where}"
        return f"needs rows that {kind} can judge, got {those} that it cannot: {reasons[0]}"

    def build(self, tokenizer: PreTrainedTokenizerBase | None) -> None:
        """See `Metric.build`."""
        self._of_texts[:] = [scorer_of(self.reward, tokenizer, self.rendering, self.rows_per_batch)]

    def models(self) -> list[nn.Module]:
        """See `Metric.models`."""
        return [self.reward]

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`."""
        if not self._of_texts:
            raise RuntimeError(f"{type(self).__name__}.build must be called before anything is scored")
        known = [self.reward.unknown(example) is None for example in answers.examples]
        if answers.has_tokens:
            values = self.reward.score(answers.rollout, answers.texts)
        else:
            rows = list(zip(answers.examples, answers.texts, strict=True))
            values = torch.tensor(self._of_texts[0].scores(rows), dtype=torch.float64)
        return {self.key: Scores(values, torch.tensor(known, dtype=torch.bool, device=values.device))}


@dataclass(frozen=True)
class Harmlessness(RewardScore):
    """`harmlessness`: mean over answers of a reward that judges harm: `ClassifierReward` of a classifier of texts, or
    `RewardModelReward` of a reward model that was trained on harmlessness.
    """

    name: str = "harmlessness"
    """The key of the number."""

    @property
    def key(self) -> str:
        """The key of the number."""
        return self.name
