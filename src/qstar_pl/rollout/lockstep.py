"""The models that q needs, side by side: one token further at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from qstar_pl.models.next_token import DecodeSession, NextToken
from qstar_pl.models.stacked import Stacked, stacked
from qstar_pl.types import PromptBatch


class Lockstep(ABC):
    """The sessions of one or two models whose rows hold the same answers."""

    @abstractmethod
    def logits(self) -> Mapping[str, Tensor]:
        """Return [rows, vocab] by role; see `DecodeSession.logits`."""

    @abstractmethod
    def advance(self, token_ids: Tensor) -> None:
        """See `DecodeSession.advance`."""

    @abstractmethod
    def select(self, rows: Tensor) -> None:
        """See `DecodeSession.select`."""


class OneByOne(Lockstep):
    """A pass of each model for every token."""

    def __init__(self, sessions: Mapping[str, DecodeSession]) -> None:
        self._sessions = sessions

    def logits(self) -> Mapping[str, Tensor]:
        """See `Lockstep.logits`."""
        return {role: session.logits for role, session in self._sessions.items()}

    def advance(self, token_ids: Tensor) -> None:
        """See `Lockstep.advance`."""
        for session in self._sessions.values():
            session.advance(token_ids)

    def select(self, rows: Tensor) -> None:
        """See `Lockstep.select`."""
        for session in self._sessions.values():
            session.select(rows)


class InOnePass(Lockstep):
    """One pass for every token, over a batch with the rows of both models."""

    def __init__(self, roles: tuple[str, str], session: DecodeSession) -> None:
        self._roles, self._session = roles, session

    def logits(self) -> Mapping[str, Tensor]:
        """See `Lockstep.logits`."""
        return dict(zip(self._roles, self._session.logits.chunk(2), strict=True))

    def advance(self, token_ids: Tensor) -> None:
        """See `Lockstep.advance`."""
        self._session.advance(token_ids.repeat(2))

    def select(self, rows: Tensor) -> None:
        """See `Lockstep.select`."""
        behind = len(self._session.logits) // 2
        self._session.select(torch.cat([rows, rows + behind]))


def start_all(models: Mapping[str, NextToken], prompts: PromptBatch, samples: int) -> Lockstep:
    """Let every model read the prompts; two that share their weights go on in one pass for each token, if they can.

    Args:
        models: those that q needs, by role.
        prompts: padded on the left.
        samples: rows per prompt.

    """
    if len(models) == 2:
        (one, own), (other, others) = (model.read_by(prompts) for model in models.values())
        both = stacked(one, other)
        if isinstance(both, Stacked):
            first, second = models
            return InOnePass((first, second), both.start_both(own, others, samples))
    return OneByOne({role: model.start(prompts, samples) for role, model in models.items()})
