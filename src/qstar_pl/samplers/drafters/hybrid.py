"""A look-up where it finds something, a model elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.models.next_token import NextToken
from qstar_pl.samplers.drafters.drafter import Block, Drafter, Drafting, Proposal, Setting
from qstar_pl.samplers.drafters.prompt_lookup import PromptLookup
from qstar_pl.samplers.drafters.role import PolicyDrafter
from qstar_pl.samplers.feeds.answers import Answers


@dataclass(frozen=True)
class Hybrid(Drafter):
    """`PromptLookup` proposes where it finds the row's last tokens again, another drafter elsewhere.

    The other reads nothing at positions where all rows were found.
    """

    lookup: PromptLookup = PromptLookup()  # noqa: RUF009 (frozen)
    """Asked first."""
    otherwise: Drafter = PolicyDrafter()  # noqa: RUF009 (frozen)
    """Asked where it finds nothing: any drafter."""

    @property
    def roles(self) -> tuple[str, ...]:
        """See `Drafter.roles`."""
        return self.otherwise.roles

    @property
    def steady(self) -> bool:
        """See `Drafter.steady`."""
        return self.otherwise.steady

    @property
    def models(self) -> list[nn.Module]:
        """See `Drafter.models`."""
        return self.otherwise.models

    def own(self) -> list[NextToken]:
        """See `Drafter.own`."""
        return self.otherwise.own()

    def build(self, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """See `Sampler.build`."""
        self.otherwise.build(reference, tokenizer)

    def start(self, setting: Setting) -> Drafting:
        """See `Drafter.start`."""
        return HybridDrafting(self.lookup.start(setting), self.otherwise.start(setting))


class HybridDrafting(Drafting):
    """Both, and how often the second was needed."""

    def __init__(self, lookup: Drafting, otherwise: Drafting) -> None:
        self._lookup, self._otherwise = lookup, otherwise
        self.bonus = otherwise.bonus
        self._places, self._misses = 0, 0

    def propose(self, answers: Answers, place: int) -> Proposal:
        """See `Drafting.propose`."""
        found = self._lookup.propose(answers, place)
        assert found.mask is not None
        self._places += 1
        if bool(found.mask.all()):
            return found
        self._misses += 1
        other = self._otherwise.propose(answers, place)
        probs = torch.where(found.mask.unsqueeze(-1), found.probs, other.probs)
        return Proposal(probs, None if other.mask is None else found.mask | other.mask)

    def settle(self, standing: Tensor, whole: bool) -> None:
        """See `Drafting.settle`."""
        self._otherwise.settle(standing, whole)

    def select(self, rows: Tensor) -> None:
        """See `Drafting.select`."""
        self._lookup.select(rows)
        self._otherwise.select(rows)

    def block(self, k: int, acceptance: float) -> Block:
        """See `Drafting.block`: the other's single steps are taken as often as the look-up found nothing."""
        share = self._misses / self._places if self._places else 1.0
        tokens, passes = self._otherwise.block(k, acceptance)
        scaled = [one._replace(times=one.times * share) if one.columns == 1 else one for one in passes]
        return Block(tokens, tuple(scaled))
