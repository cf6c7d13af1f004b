"""The models that q needs, side by side: one token further at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

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

    @abstractmethod
    def sessions(self) -> Sequence[DecodeSession]:
        """Return what runs a pass for every token."""

    @property
    def device(self) -> torch.device:
        """Where the logits are."""
        return next(iter(self.logits().values())).device

    @property
    def columns(self) -> int:
        """The most columns of any session; see `DecodeSession.columns`."""
        return max(session.columns for session in self.sessions())

    def trim(self) -> None:
        """See `DecodeSession.trim`."""
        for session in self.sessions():
            session.trim()

    def join(self, other: Lockstep) -> None:
        """See `DecodeSession.join`; the other was started by the same models."""
        for session, joining in zip(self.sessions(), other.sessions(), strict=True):
            session.join(joining)


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

    def sessions(self) -> Sequence[DecodeSession]:
        """See `Lockstep.sessions`."""
        return tuple(self._sessions.values())


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

    def sessions(self) -> Sequence[DecodeSession]:
        """See `Lockstep.sessions`."""
        return (self._session,)

    def join(self, other: Lockstep) -> None:
        """See `Lockstep.join`."""
        mine, theirs = (len(session.logits) // 2 for session in (self._session, *other.sessions()))
        super().join(other)
        # The rows of the second model behind all of the first one's.
        first, second, third, fourth = torch.arange(2 * (mine + theirs)).split([mine, mine, theirs, theirs])
        self._session.select(torch.cat([first, third, second, fourth]))


def start_all(models: Mapping[str, NextToken], prompts: PromptBatch, samples: int) -> Lockstep:
    """Let every model read the prompts; two that share their weights go on in one pass for each token, if they can.

    Args:
        models: those that q needs, by role.
        prompts: padded on the left.
        samples: rows per prompt.

    """
    return start_each({role: model.read_by(prompts) for role, model in models.items()}, samples)


def start_each(read: Mapping[str, tuple[NextToken, PromptBatch]], samples: int) -> Lockstep:
    """Do what `start_all` does with models and the prompts as they read them, by role (see `NextToken.read_by`)."""
    if len(read) == 2:
        (one, own), (other, others) = read.values()
        both = stacked(one, other)
        if isinstance(both, Stacked):
            first, second = read
            return InOnePass((first, second), both.start_both(own, others, samples))
    return OneByOne({role: model.start(prompts, samples) for role, (model, prompts) in read.items()})
