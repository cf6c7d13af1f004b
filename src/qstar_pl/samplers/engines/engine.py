"""An engine that samples from weights of its own: what the sampler asks of it, and what it gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from qstar_pl.models.language_model import LanguageModel
from qstar_pl.models.next_token import NextToken
from qstar_pl.rollout.law import Law
from qstar_pl.rollout.truncation import Truncation
from qstar_pl.types import KeptSets, PromptBatch, TensorFields

Weights = Iterable[tuple[str, Tensor]]
"""(name, values) of every parameter, as `models.whole_weights` yields them."""


@dataclass(frozen=True)
class Job:
    """What is to be drawn."""

    prompts: PromptBatch
    samples: int
    """Answers per prompt; the rows of one prompt are adjacent."""
    seed: int
    """Of the draw; a row's own is `row_seed(seed, key, sample)`."""
    max_new_tokens: int
    truncation: Truncation
    """Temperature, top-k and top-p of q, in this order."""
    eos_token_ids: tuple[int, ...]
    """What ends an answer."""


@dataclass(frozen=True)
class Generated(TensorFields):
    """What an engine drew; rows = prompts × samples, padded on the right, on the device of the prompts."""

    token_ids: Tensor
    """[rows, time] int64."""
    mask: Tensor
    """[rows, time] bool: drawn tokens, EOS included; every row has at least one."""
    ended_mask: Tensor
    """[rows] bool: the answer ended with EOS."""
    logprobs: Tensor
    """[rows, time] float32: log q(y_t) of the law that the engine drew from, after temperature, top-k and top-p; 0
    where the mask is False."""
    kept: KeptSets | None = None
    """What top-k and top-p left over, where the engine records it."""
    columns: Mapping[str, Tensor] = field(default_factory=dict)
    """[rows, time] each: what the engine knows beside, by the names of `Rollout`'s fields."""


@dataclass(frozen=True)
class Engine(ABC):
    """What draws from weights of its own: the options, and how it is started. Every process has its own."""

    def held_bytes(self, parameters: int, dtype: torch.dtype, device_bytes: float) -> float:
        """Return the bytes that it keeps on the trainer's device while training goes on, for `qstar plan`.

        Args:
            parameters: number of the policy's weights, adapters added into them.
            dtype: the policy's.
            device_bytes: memory of the device.

        """
        return float(parameters * dtype.itemsize)

    def check(self, law: Law) -> None:  # noqa: B027 (most draw from any)
        """Raise UserError unless the engine can draw from this law; called before any model is loaded."""

    def require(self) -> None:  # noqa: B027 (most need nothing more)
        """Raise UserError unless what it needs is installed; called before a run writes or loads anything."""

    @abstractmethod
    def start(self, policy: LanguageModel, target: NextToken, law: Law, longest: int) -> RunningEngine:
        """Start an engine for weights of the policy's shape; it need not have any yet.

        Args:
            policy: π_θ, whose architecture, tokenizer and dtype the engine takes over.
            target: π_t, where the law needs it.
            law: q.
            longest: max_new_tokens.

        Raises:
            UserError: if it cannot run such a model, or what it needs is not installed.

        """


class RunningEngine(ABC):
    """An engine that was started: it is given weights, says which it has, and draws from them."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """Type in which it keeps its weights."""

    @abstractmethod
    def push(self, weights: Weights, step: int) -> str:
        """Replace the policy's weights, drop what was cached of the old ones, and return `fingerprint()`.

        Args:
            weights: all of them, in the trainer's dtype; read once, in order, while the call lasts.
            step: optimizer steps taken, for the names of files.

        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Return `value_fingerprint` of the weights that the next token would be drawn from.

        Made anew from the very tensors that the engine computes with, and from nothing that was remembered.
        """

    @abstractmethod
    def generate(self, job: Job) -> Generated:
        """Draw answers."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything."""
