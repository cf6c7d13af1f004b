"""Any reward as a judge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import nn
from transformers import PreTrainedTokenizerBase

from qstar_pl.checks import at_least
from qstar_pl.data.text.rendering import Rendering, TokenizerRendering
from qstar_pl.errors import UserError
from qstar_pl.evaluation.judges.scoring import ScoringJudge
from qstar_pl.evaluation.judges.verdict import Verdict
from qstar_pl.evaluation.text_rewards import TextRewards, own_model
from qstar_pl.models.fingerprint import fingerprint_of
from qstar_pl.models.tokenizers import load_tokenizer
from qstar_pl.rewards import Reward
from qstar_pl.tiny_world.gold_formula import has_facts
from qstar_pl.types import Example


@dataclass(frozen=True)
class RewardModelJudge(ScoringJudge):
    """Prefers the answer with the higher reward, of a reward model or of any other `Reward`.

    A reward with a model of its own reads prompt and answer in that model's template and tokens, so that its verdicts
    do not depend on who wrote the answers.
    """

    reward: Reward
    """What scores the answers. The one that a policy was trained on says how well it was maximized, not how good the
    answers are."""
    margin: float = 0.0
    """Rewards at most so far apart tie."""
    soft: bool = False
    """Instead of 1 or 0, the preference is the Bradley–Terry probability sigmoid(r_answer − r_baseline)."""
    tokenizer: str | None = None
    """Hub id or folder of the tokenizer that texts are encoded with; by default the reward's own model's, else the
    policy's."""
    rendering: Rendering = field(default_factory=TokenizerRendering)
    """How dialogues become text."""
    rows_per_batch: int = field(default=64, repr=False)
    """Answers scored at a time."""
    expensive: bool = field(default=False, repr=False)
    """Leave it out of the validations within `fit`."""
    _built: list[tuple[str, TextRewards]] = field(default_factory=list, init=False, repr=False, compare=False)
    """The description and the scorer, once `build` has made them."""

    def __post_init__(self) -> None:
        at_least(0, margin=self.margin)
        at_least(1, rows_per_batch=self.rows_per_batch)
        if self.soft and self.margin:
            raise UserError(f"margin must be 0 where verdicts are soft, got {self.margin}")

    def build(self, tokenizer: PreTrainedTokenizerBase | None) -> None:
        """See `Judge.build`.

        Raises:
            UserError: if there is neither a policy's tokenizer, nor one of the reward's own, nor `tokenizer`.

        """
        source = own_model(self.reward)
        if self.tokenizer is not None:
            tokenizer = load_tokenizer(self.tokenizer, argument="judge.tokenizer")
        elif source is not None:
            tokenizer = source.tokenizer()
        if tokenizer is None:
            raise UserError(
                f"judge.tokenizer must be given for {type(self.reward).__name__}, which has no model of its own, "
                "where answers come without a policy; got None"
            )
        description = self.description  # before the reward's weights become part of it
        self.reward.build(tokenizer)
        limit = None if source is None else source.capabilities().context.limit
        self._built[:] = [
            (description, TextRewards(self.reward, tokenizer, self.rendering, limit, self.rows_per_batch))
        ]

    def models(self) -> list[nn.Module]:
        """See `Judge.models`."""
        return [self.reward]

    def unknown(self, example: Example) -> str | None:
        """See `Judge.unknown`; what is left to the tiny world's default knows rows of the tiny world alone."""
        if (option := self.reward.left_to_default()) is not None and not has_facts(example.metadata):
            return f"{option} is left to its default, the tiny world's, and it is no row of that"
        return self.reward.unknown(example)

    @property
    def description(self) -> str:
        """See `Judge.description`; once built, with a fingerprint of the weights."""
        if not self._built:
            return super().description
        options, _ = self._built[0]
        weights = list(self.reward.state_dict().items())
        return f"{options}, weights {fingerprint_of(weights)}" if weights else options

    def scores(self, rows: Sequence[tuple[Example, str]]) -> list[float | str]:
        """See `ScoringJudge.scores`."""
        if not self._built:
            raise RuntimeError("RewardModelJudge.build must be called before anything is compared")
        return list(self._built[0][1].scores(rows))

    def verdict(self, answer: float, baseline: float) -> Verdict:
        """See `ScoringJudge.verdict`."""
        hard = Verdict.of_scores(answer, baseline, self.margin)
        if not self.soft or hard.preference is None or hard.tie:
            return hard
        # sigmoid(x) = (1 + tanh(x / 2)) / 2, which overflows nowhere.
        return Verdict(0.5 + 0.5 * math.tanh((answer - baseline) / 2), extra=hard.extra)
