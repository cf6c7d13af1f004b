"""A small language model drafts."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.models import LanguageModel, NextToken, Pretrained, freeze
from qstar_pl.models.shared import check_vocabulary
from qstar_pl.models.source import ModelSource
from qstar_pl.samplers.drafters.drafter import (
    OWN,
    Block,
    Drafter,
    Drafting,
    Passes,
    Proposal,
    Setting,
    expected_tokens,
)
from qstar_pl.samplers.feeds.answers import Answers


@dataclass(frozen=True)
class ModelDrafter(Drafter):
    """A model with the policy's vocabulary, of a small part of both models' cost; they verify in one pass each."""

    model: ModelSource = Pretrained("tiny/policy")  # noqa: RUF009 (frozen)
    """Where it comes from."""
    _tokens: list[LanguageModel] = field(default_factory=list, init=False, repr=False, compare=False)

    def build(self, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """See `Sampler.build`."""
        check_vocabulary(self.model, tokenizer, "sampler.drafter.model")
        self._tokens[:] = [LanguageModel(freeze(self.model.load()), tokenizer)]

    @property
    def models(self) -> list[nn.Module]:
        """See `Drafter.models`."""
        return [tokens.model for tokens in self._tokens]

    def own(self) -> list[NextToken]:
        """See `Drafter.own`."""
        if not self._tokens:
            raise RuntimeError("ModelDrafter.build must be called before it drafts")
        return list(self._tokens)

    def start(self, setting: Setting) -> Drafting:
        """See `Drafter.start`."""
        return ModelDrafting(setting)


class ModelDrafting(Drafting):
    """Drafts from a session of its own."""

    def __init__(self, setting: Setting) -> None:
        self._setting, (self._feed,) = setting, setting.own

    def propose(self, answers: Answers, place: int) -> Proposal:
        """See `Drafting.propose`."""
        return Proposal(self._setting.probs(self._feed.logits(answers, place + 1)[:, place]))

    def settle(self, standing: Tensor, whole: bool) -> None:
        """See `Drafting.settle`."""
        self._feed.settle(standing)

    def select(self, rows: Tensor) -> None:
        """See `Drafting.select`."""
        self._feed.select(rows)

    def block(self, k: int, acceptance: float) -> Block:
        """See `Drafting.block`."""
        verifiers = tuple(Passes(role, k + 1, 1.0) for role in self._setting.verifiers)
        last = acceptance**k if self._setting.always else 0.0
        return Block(expected_tokens(k, acceptance), (Passes(OWN, 1, k + last), *verifiers))
