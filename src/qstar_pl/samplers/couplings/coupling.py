"""How a drafted token and a token of q are drawn together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor


class Settled(NamedTuple):
    """What stands at n token positions; each [n]."""

    tokens: Tensor
    """int64: a draw from q, whatever was drafted."""
    accepted: Tensor
    """bool: it is the drafted token, and what was drafted behind it may stand."""


class Coupling(ABC):
    """Draws a proposal from the drafter's p and a token from q so that they are often equal.

    Every random number belongs to one row, one position and one purpose. So the token at a position is a function of
    the tokens before it, of those numbers, of q and perhaps of p: how many tokens are drafted at a time, where a block
    begins and what else is in the batch are not among its arguments. That is why the length of a block may depend on
    anything, also on what was drafted: a proposal that is dropped and made again is the same proposal. Drawn anew it
    would be biased, since the first one was dropped *because* of what it was. For the same reason nothing that a
    dropped proposal showed may decide whether its position has a proposal at all, if tokens depend on p.
    """

    @property
    @abstractmethod
    def purposes(self) -> tuple[str, ...]:
        """The purposes of its random numbers, one of each per position; see `row_seed`."""

    @property
    @abstractmethod
    def uses_draft_probs(self) -> bool:
        """Whether a token depends on p, and not on q and the random numbers alone.

        If it does, p is needed also where nothing is gained by a draft: at the last position of a block.
        """

    @abstractmethod
    def propose(self, draft_probs: Tensor, numbers: Mapping[str, Tensor]) -> Tensor:
        """Return proposals [n] int64 from p.

        Args:
            draft_probs: [n, vocab] p; a row of zeros proposes nothing, and any token may be returned for it.
            numbers: [n] float64 in [0, 1) by purpose.

        """

    @abstractmethod
    def settle(self, law_probs: Tensor, draft_probs: Tensor, drafts: Tensor, numbers: Mapping[str, Tensor]) -> Settled:
        """Return the tokens of q, and which of them are the proposals.

        Args:
            law_probs: [n, vocab] q.
            draft_probs: [n, vocab] p, the very tensor that was drawn from; a row of zeros proposed nothing.
            drafts: [n] int64, what `propose` returned.
            numbers: as in `propose`.

        """
