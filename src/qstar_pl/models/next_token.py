"""What the decode engine and the samplers ask of π_θ and of π_t: next-token log-probabilities, nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from qstar_pl.types import PromptBatch


class DecodeSession(ABC):
    """The state of one batch of growing sequences (for a language model: its KV cache)."""

    @property
    @abstractmethod
    def logits(self) -> Tensor:
        """[rows, vocab] float: unnormalised log-probabilities of the next token of every row."""

    @abstractmethod
    def advance(self, token_ids: Tensor) -> None:
        """Append `token_ids` [rows] int64, one to every row, and compute the next `logits`."""


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
