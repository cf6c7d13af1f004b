"""π_t is a language model tilted by token-wise rewards."""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.errors import UserError
from qstar_pl.models.freeze import freeze
from qstar_pl.models.language_model import LanguageModel
from qstar_pl.models.next_token import DecodeSession
from qstar_pl.models.pretrained import Pretrained
from qstar_pl.models.shared import check_vocabulary
from qstar_pl.models.source import ModelSource
from qstar_pl.targets.token_target import TokenTarget
from qstar_pl.types import PromptBatch


def check_beta(beta: float) -> None:
    """Raise UserError unless β can divide a reward."""
    if not 0 < beta < math.inf:
        raise UserError(f"target.beta must be positive and finite, got {beta}")


class RewardTilted(TokenTarget):
    """log π_t(y_t) = log π_base(y_t) + (1/β) log π_r(y_t) − log Z, token by token (GenARM, arXiv 2410.08193).

    π_r is an autoregressive reward model, r(x, y) = Σ_t log π_r(y_t|x, y_<t); `RewardModeling` trains one with
    `parametrisation: Autoregressive`. A model whose head gives a reward or Q-value per token is used in the same way
    (`parametrisation: TokenRewards`): its outputs are log π_r up to a constant of the context, which log Z takes away.
    Support is full wherever the base's is.
    """

    reward_model: PreTrainedModel

    def __init__(
        self,
        model: ModelSource = Pretrained("tiny/expert"),
        beta: float = 1.0,
        base: Literal["reference", "uniform"] = "reference",
    ) -> None:
        """Describe the tilt; nothing is loaded yet.

        Args:
            model: the autoregressive reward model, a causal language model with the policy's vocabulary.
            beta: temperature of the reward, positive: a small one follows the reward, a large one the base.
            base: what is tilted. reference: π_init. uniform: nothing, π_t is softmax(r/β) alone.

        """
        super().__init__()
        check_beta(beta)
        if base not in ("reference", "uniform"):
            raise UserError(f"target.base must be reference or uniform, got {base!r}")
        self.model = model
        self.beta = beta
        self.base = base
        self._base: LanguageModel | None = None
        self._tokenizer: PreTrainedTokenizerBase | None = None

    def build(self, reference: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """See `Target.build`."""
        check_vocabulary(self.model, tokenizer, "target.model")
        self.reward_model = freeze(self.model.load())
        self._tokenizer = tokenizer
        # Wrapped, so that π_init does not become a submodule of a second parent.
        self._base = LanguageModel(reference, tokenizer) if self.base == "reference" else None

    def decoding_models(self) -> list[nn.Module]:
        """See `Target.decoding_models`; also the base, which is no submodule."""
        return [self] if self._base is None else [self, self._base.model]

    @property
    def token_rewards(self) -> LanguageModel:
        """π_r as a distribution over next tokens; `build` makes it."""
        if self._tokenizer is None:
            raise RuntimeError("RewardTilted.build must be called before the target is asked for anything")
        return LanguageModel(self.reward_model, self._tokenizer)

    @property
    def vocab_size(self) -> int:
        """See `NextToken.vocab_size`."""
        return self.token_rewards.vocab_size

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """See `NextToken.eos_token_ids`."""
        return self.token_rewards.eos_token_ids

    @property
    def rewinds(self) -> bool:
        """See `NextToken.rewinds`; both models must."""
        return self.token_rewards.rewinds and (self._base is None or self._base.rewinds)

    @property
    def joins(self) -> bool:
        """See `NextToken.joins`; both models must."""
        return self.token_rewards.joins and (self._base is None or self._base.joins)

    def tilt(self, base_logits: Tensor | None, reward_logits: Tensor) -> Tensor:
        """Return logits [..., vocab] of π_t from those of the base (None: uniform) and of π_r."""
        # Normalized first: the tokens that matter are then near 0, where dividing by a small β loses no digits.
        tilt = reward_logits.log_softmax(-1) / self.beta
        return tilt if base_logits is None else tilt + base_logits.log_softmax(-1)

    def start(self, prompts: PromptBatch, samples: int) -> DecodeSession:
        """See `NextToken.start`."""
        rewards = self.token_rewards.start(prompts, samples)
        return TiltedSession(self, None if self._base is None else self._base.start(prompts, samples), rewards)

    def completion_logits(
        self, prompts: PromptBatch, prompt_index: Tensor, completion_ids: Tensor, completion_mask: Tensor
    ) -> Tensor:
        """See `NextToken.completion_logits`; one forward pass of each model."""
        answers = (prompts, prompt_index, completion_ids, completion_mask)
        rewards = self.token_rewards.completion_logits(*answers)
        return self.tilt(None if self._base is None else self._base.completion_logits(*answers), rewards)


class TiltedSession(DecodeSession):
    """Base and reward model in lockstep, each over its own cache."""

    def __init__(self, owner: RewardTilted, base: DecodeSession | None, rewards: DecodeSession) -> None:
        self._owner, self._base, self._rewards = owner, base, rewards
        self._logits: Tensor | None = self._tilted()

    @property
    def logits(self) -> Tensor:
        """See `DecodeSession.logits`."""
        if self._logits is None:
            self._logits = self._tilted()
        return self._logits

    def advance(self, token_ids: Tensor) -> None:
        """See `DecodeSession.advance`."""
        if self._base is not None:
            self._base.advance(token_ids)
        self._rewards.advance(token_ids)
        self._logits = self._tilted()

    def extend(self, token_ids: Tensor) -> Tensor:
        """See `DecodeSession.extend`."""
        base = None if self._base is None else self._base.extend(token_ids)
        block = self._owner.tilt(base, self._rewards.extend(token_ids))
        self._logits = block[:, -1]
        return block

    def rewind(self, counts: Tensor) -> None:
        """See `DecodeSession.rewind`."""
        for session in self._sessions:
            session.rewind(counts)
        # Not worked out before it is asked for: the models may have to read a token again.
        self._logits = None

    @property
    def room(self) -> int | None:
        """See `DecodeSession.room`."""
        return min((room for session in self._sessions if (room := session.room) is not None), default=None)

    def select(self, rows: Tensor) -> None:
        """See `DecodeSession.select`."""
        for session in self._sessions:
            session.select(rows)
        self._logits = None

    @property
    def columns(self) -> int:
        """See `DecodeSession.columns`; both models' rows stand in as many."""
        return self._rewards.columns

    def trim(self) -> None:
        """See `DecodeSession.trim`."""
        for session in self._sessions:
            session.trim()

    def join(self, other: DecodeSession) -> None:
        """See `DecodeSession.join`."""
        if not isinstance(other, TiltedSession):
            raise ValueError(f"other must be a session of the same target, got {type(other).__name__}")
        for own, joining in zip(self._sessions, other._sessions, strict=True):
            own.join(joining)
        self._logits = None

    @property
    def _sessions(self) -> list[DecodeSession]:
        return [self._rewards] if self._base is None else [self._base, self._rewards]

    def _tilted(self) -> Tensor:
        return self._owner.tilt(None if self._base is None else self._base.logits, self._rewards.logits)
