"""A model whose tokenizer gives the policy's tokens other ids."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from qstar_pl.models.next_token import DecodeSession, NextToken
from qstar_pl.types import PromptBatch


class Relabeled(NextToken):
    """Speaks the policy's ids on the outside and its own on the inside.

    Token i of the policy is token `own_ids[i]` of the model. Both ways of asking translate what goes in and reorder
    the logits that come out, so every log-probability is the model's own, of the same token text.
    """

    def __init__(self, model: NextToken, own_ids: Tensor) -> None:
        """Wrap a model.

        Args:
            model: speaks its own ids.
            own_ids: [vocab] int64, a permutation: the model's id of each of the policy's tokens.

        """
        self.model = model
        self.own_ids = own_ids

    @property
    def vocab_size(self) -> int:
        """See `NextToken.vocab_size`."""
        return len(self.own_ids)

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """See `NextToken.eos_token_ids`; in the policy's ids."""
        # Sorting a permutation inverts it: the policy's id of each of the model's.
        inverse = self.own_ids.argsort()
        return tuple(sorted(int(inverse[i]) for i in self.model.eos_token_ids))

    @property
    def rewinds(self) -> bool:
        """See `NextToken.rewinds`."""
        return self.model.rewinds

    @property
    def joins(self) -> bool:
        """See `NextToken.joins`."""
        return self.model.joins

    def start(self, prompts: PromptBatch, samples: int) -> DecodeSession:
        """See `NextToken.start`."""
        return _Session(self, self.model.start(self.translated(prompts), samples))

    def completion_logits(
        self, prompts: PromptBatch, prompt_index: Tensor, completion_ids: Tensor, completion_mask: Tensor
    ) -> Tensor:
        """See `NextToken.completion_logits`."""
        ids = self.to_own(completion_ids, completion_mask)
        return self.reorder(self.model.completion_logits(self.translated(prompts), prompt_index, ids, completion_mask))

    def translated(self, prompts: PromptBatch) -> PromptBatch:
        """Return the prompts in the model's ids."""
        return replace(prompts, prompt_ids=self.to_own(prompts.prompt_ids, prompts.prompt_mask))

    def to_own(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the model's ids of the policy's; where `mask` is False any id will do."""
        # The policy's pad may lie beyond the permutation.
        return self._moved(ids)[torch.where(mask, ids, 0)]

    def reorder(self, logits: Tensor) -> Tensor:
        """Return logits [..., vocab] in the order of the policy's ids."""
        return logits.index_select(-1, self._moved(logits))

    def _moved(self, like: Tensor) -> Tensor:
        self.own_ids = self.own_ids.to(like.device)
        return self.own_ids


class _Session(DecodeSession):
    def __init__(self, owner: Relabeled, session: DecodeSession) -> None:
        self._owner, self._session = owner, session

    @property
    def logits(self) -> Tensor:
        return self._owner.reorder(self._session.logits)

    def advance(self, token_ids: Tensor) -> None:
        self._session.advance(self._own(token_ids))

    def extend(self, token_ids: Tensor) -> Tensor:
        return self._owner.reorder(self._session.extend(self._own(token_ids)))

    def rewind(self, counts: Tensor) -> None:
        self._session.rewind(counts)

    @property
    def room(self) -> int | None:
        return self._session.room

    def select(self, rows: Tensor) -> None:
        self._session.select(rows)

    @property
    def columns(self) -> int:
        return self._session.columns

    def trim(self) -> None:
        self._session.trim()

    def join(self, other: DecodeSession) -> None:
        assert isinstance(other, _Session)
        self._session.join(other._session)

    def _own(self, token_ids: Tensor) -> Tensor:
        return self._owner.to_own(token_ids, torch.ones_like(token_ids, dtype=torch.bool))
