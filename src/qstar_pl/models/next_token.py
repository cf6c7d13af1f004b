"""What the decode engine and the samplers ask of π_θ and of π_t: next-token log-probabilities, nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from qstar_pl.errors import UserError
from qstar_pl.types import PromptBatch


class DecodeSession(ABC):
    """The state of one batch of growing sequences (for a language model: its KV cache).

    Samplers that draw one token at a time need `logits` and `advance`. Those that propose several tokens and keep some
    of them also `extend` the rows, `rewind` what was refused, and `select` the rows that still run.
    """

    @property
    @abstractmethod
    def logits(self) -> Tensor:
        """[rows, vocab] float: unnormalized log-probabilities of the next token of every row."""

    @abstractmethod
    def advance(self, token_ids: Tensor) -> None:
        """Append `token_ids` [rows] int64, one to every row, and compute the next `logits`."""

    def extend(self, token_ids: Tensor) -> Tensor:
        """Append `token_ids` [rows, k] int64, k ≥ 1, and return the logits [rows, k, vocab] behind each of them.

        They are what `advance` gives token by token, up to rounding; models that can read all k in one pass do.
        """
        said = []
        for ids in token_ids.unbind(-1):
            self.advance(ids)
            said.append(self.logits)
        return torch.stack(said, dim=1)

    @abstractmethod
    def rewind(self, counts: Tensor) -> None:
        """Take back the last `counts` [rows] int64 tokens of each row; 0 leaves a row as it is.

        `logits` are then those behind each row's last token. Within the tokens of the last `extend` they are at hand;
        further back they cost a pass of one token, if they are asked for before the rows grow again.

        Raises:
            UserError: if the model cannot give tokens back; see `NextToken.rewinds`.
            ValueError: if a count is negative or reaches into the prompt.

        """

    @property
    def room(self) -> int | None:
        """How many more tokens a row may hold and still give some of them back; None: any number."""
        return None

    @abstractmethod
    def select(self, rows: Tensor) -> None:
        """Go on with `rows` [n] int64 alone, n ≥ 1, in that order; a row may be named several times."""

    @property
    def columns(self) -> int:
        """Columns that the rows stand in, pads included: rows of two sessions whose columns differ come to stand
        elsewhere when they `join`. 0 where nothing depends on where a row stands."""
        return 0

    def trim(self) -> None:  # noqa: B027 (most need not)
        """Drop columns on the left that no row needs any more, as many as leave sums over the others as they are."""

    def join(self, other: DecodeSession) -> None:
        """Take in the rows of another session of the same model, behind one's own; that one must not be used again.

        Rows may be of any age: each goes on as it would have gone on alone, up to rounding.

        Raises:
            UserError: if the model cannot put rows of different lengths together; see `NextToken.joins`.

        """
        raise UserError(f"model must have sessions that take in rows, got {type(self).__name__}")


class NextToken(ABC):
    """A distribution over continuations of a prompt, given token by token."""

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """Number of token ids that have a probability."""

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """Ids that end an answer. The decode engine asks π_θ only; without any, answers end at max_new_tokens."""
        return ()

    @property
    def rewinds(self) -> bool:
        """Whether sessions can `rewind`. A sampler that needs it can refuse the model here, before drawing."""
        return True

    def read_by(self, prompts: PromptBatch) -> tuple[NextToken, PromptBatch]:
        """Return the model that answers in the end, in the policy's ids, and the prompts as it reads them."""
        return self, prompts

    @property
    def joins(self) -> bool:
        """Whether sessions can `join`, so that freed rows of a batch can be filled with other prompts."""
        return False

    @abstractmethod
    def start(self, prompts: PromptBatch, samples: int) -> DecodeSession:
        """Read the prompts and return a session of prompts × `samples` rows, rows of one prompt adjacent."""

    @abstractmethod
    def completion_logits(
        self, prompts: PromptBatch, prompt_index: Tensor, completion_ids: Tensor, completion_mask: Tensor
    ) -> Tensor:
        """Return the teacher-forced logits [rows, time, vocab] that predict `completion_ids` [rows, time].

        Row i continues prompt `prompt_index[i]`. One forward pass; differentiable if the model's parameters are.
        """
