"""Who proposes tokens: the strategy, and its state during one rollout."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.models.next_token import NextToken
from qstar_pl.rollout.truncation import Truncation
from qstar_pl.samplers.feeds.answers import Answers
from qstar_pl.samplers.feeds.feed import Feed

OWN = "drafter"
"""The name under which the passes of a drafter's own model are counted."""


class Proposal(NamedTuple):
    """What the drafter says of the next token of every row."""

    probs: Tensor
    """[rows, vocab] p, to draw from; zeros in a row without a proposal."""
    mask: Tensor | None = None
    """[rows] bool: where there is one; None: everywhere."""


class Passes(NamedTuple):
    """Passes of a model that a block takes, on average."""

    name: str
    """policy, target or drafter."""
    columns: int
    """Tokens read per row."""
    times: float


class Block(NamedTuple):
    """What a block yields and takes, on average, by the cost model (Leviathan et al. 2023, §3.3)."""

    tokens: float
    """Per row."""
    passes: tuple[Passes, ...]


@dataclass(frozen=True)
class Setting:
    """What a drafter finds at the start of a rollout."""

    feeds: Mapping[str, Feed]
    """Of π_θ and π_t by role, those that q or the drafter needs."""
    verifiers: tuple[str, ...]
    """The roles that q needs."""
    vocab_size: int
    truncation: Truncation
    """Of q; models that draft are truncated alike, since a draft that q has cut is never accepted."""
    always: bool
    """Whether p is needed behind a block that was accepted as a whole; see `Coupling.uses_draft_probs`."""
    own: tuple[Feed, ...] = ()
    """Of the drafter's own models, in the order of `Drafter.own`."""

    def probs(self, logits: Tensor) -> Tensor:
        """Return what is drawn from, given a drafting model's logits [rows, vocab]."""
        return self.truncation(logits.log_softmax(-1)).softmax(-1) if self.truncation.changes else logits.softmax(-1)


class Drafting(ABC):
    """A drafter during one rollout."""

    bonus = True
    """Whether a block that is accepted as a whole is followed by one more token of q at once. Not where the next block
    begins with it at no cost."""

    @abstractmethod
    def propose(self, answers: Answers, place: int) -> Proposal:
        """Propose the token `place` places behind what stands, given the proposals before it, which were written."""

    @abstractmethod
    def block(self, k: int, acceptance: float) -> Block:
        """Return what a block of `k` ≥ 1 proposals yields and takes if each is accepted with this probability."""

    def settle(self, standing: Tensor, whole: bool) -> None:  # noqa: B027 (most keep nothing)
        """Learn that the first `standing` [rows] tokens of each answer stand; `whole`: every proposal of every row."""

    def select(self, rows: Tensor) -> None:  # noqa: B027
        """Go on with `rows` [n] alone; right behind `settle`."""


@dataclass(frozen=True)
class Drafter(ABC):
    """Proposes tokens. Any p will do for exactness: what is kept follows q."""

    @property
    def roles(self) -> tuple[str, ...]:
        """Which of π_θ and π_t draft: "policy", "target"."""
        return ()

    @property
    def steady(self) -> bool:
        """Whether p at a position depends on the row's tokens alone, and not on where a block begins."""
        return True

    @property
    def models(self) -> list[nn.Module]:
        """What `build` loaded."""
        return []

    def own(self) -> list[NextToken]:
        """Return the drafter's own models as distributions over next tokens, which must be able to rewind."""
        return []

    def build(self, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:  # noqa: B027
        """See `Sampler.build`."""

    @abstractmethod
    def start(self, setting: Setting) -> Drafting:
        """Begin a rollout."""


def expected_tokens(k: int, acceptance: float) -> float:
    """Return (1 − a^(k+1))/(1 − a): tokens per block of k with independent acceptance a (Leviathan et al., eq. 1)."""
    return float(sum(acceptance**i for i in range(k + 1)))


def one_hot(tokens: Tensor, mask: Tensor, vocab_size: int) -> Tensor:
    """Return [rows, vocab] with 1 at `tokens` where `mask`, else 0: the p of a drafter that has no doubts."""
    probs = torch.zeros(len(tokens), vocab_size, device=tokens.device)
    return probs.scatter_(-1, tokens.unsqueeze(-1), mask.to(probs).unsqueeze(-1))
