"""q* in vLLM (v1): a logits processor that turns the scores of π_θ into log q."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

import qstar_pl.qstar
from qstar_pl.errors import UserError
from qstar_pl.integrations.guide import Guide
from qstar_pl.integrations.mixing import check_width, mix
from qstar_pl.models import LanguageModel, NextToken
from qstar_pl.qstar import AlphaStrategy, KLSymmetricAlpha

try:
    from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor, MoveDirectionality
except ImportError as error:
    raise UserError(f"vllm must be installed for this processor (pip install 'qstar-pl[vllm]'), got {error}") from error

if TYPE_CHECKING:
    from vllm.config import VllmConfig

NAME = "qstar"
"""Where the settings stand in vLLM's `additional_config`."""
_LIVE = "live:"
_OFFERED: dict[str, tuple[NextToken, AlphaStrategy]] = {}


def offer(target: NextToken, alpha: AlphaStrategy) -> dict[str, str]:
    """Return settings of a processor in this very process, which then reads `target` and no copy of it.

    It is held until `withdraw`.
    """
    name = f"{_LIVE}{id(target)}"
    _OFFERED[name] = target, alpha
    return {"target": name}


def withdraw(settings: dict[str, str]) -> None:
    """Let go of what was offered."""
    _OFFERED.pop(settings["target"], None)


@dataclass(frozen=True)
class Settings:
    """What `additional_config={"qstar": {…}}` may say."""

    target: str
    """π_t: a folder or name that transformers loads."""
    tokenizer: str | None = None
    """Of both models, needed where an embedding has more rows than it has tokens."""
    revision: str | None = None
    """Of both on the hub: a branch, a tag or a commit."""
    alpha: str = KLSymmetricAlpha.__name__
    """The strategy that chooses α: a class of `qstar_pl.qstar`."""
    alpha_args: tuple[tuple[str, Any], ...] = ()
    """Its arguments."""

    @classmethod
    def of(cls, config: VllmConfig) -> Settings:
        """Read the engine's configuration."""
        given = config.additional_config
        given = given.get(NAME) if isinstance(given, dict) else None
        if not isinstance(given, dict) or "target" not in given:
            raise UserError(f"additional_config must name π_t as {{'{NAME}': {{'target': …}}}}, got {given}")
        if unknown := sorted(set(given) - {field.name for field in fields(cls)}):
            known = ", ".join(field.name for field in fields(cls))
            raise UserError(f"additional_config['{NAME}'] must have the keys {known}, got {unknown[0]}")
        return cls(**{**given, "alpha_args": tuple(dict(given.get("alpha_args", {})).items())})

    def strategy(self) -> AlphaStrategy:
        """Return the strategy that `alpha` names."""
        kind = getattr(qstar_pl.qstar, self.alpha, None)
        if not (isinstance(kind, type) and issubclass(kind, AlphaStrategy)):
            raise UserError(f"alpha must be a strategy of qstar_pl.qstar, got {self.alpha}")
        return kind(**dict(self.alpha_args))

    def offered(self) -> tuple[NextToken, AlphaStrategy]:
        """Return what `offer` holds under the name."""
        if self.target not in _OFFERED:
            raise UserError(f"target must be offered in the engine's own process, got {self.target}")
        return _OFFERED[self.target]

    def load(self, device: torch.device, dtype: torch.dtype) -> LanguageModel:
        """Return π_t."""
        options: dict[str, Any] = {"revision": self.revision, "use_safetensors": True}
        model = AutoModelForCausalLM.from_pretrained(self.target, dtype=dtype, **options)  # nosec B615 - an option
        tokenizer = None
        if self.tokenizer is not None:
            tokenizer = AutoTokenizer.from_pretrained(self.tokenizer, revision=self.revision)  # nosec B615
        return LanguageModel(model.to(device).eval().requires_grad_(False), tokenizer)


class QStarLogitsProcessor(LogitsProcessor):
    """Makes vLLM draw from q = π_θ^α π_t^(1−α)/Z, π_θ the engine's model.

    `LLM(policy, logits_processors=[QStarLogitsProcessor], additional_config={"qstar": {"target": folder}})`. π_t runs
    in transformers beside the engine, a request at a time, with a cache for each; a request that was put off is read
    again when it returns. vLLM's prefix cache and chunked prefill concern π_θ alone. Temperature, top-k and top-p come
    behind the processor and act on q; with logprobs_mode="processed_logprobs" the engine reports log q.
    """

    def __init__(self, vllm_config: VllmConfig, device: torch.device, is_pin_memory: bool) -> None:
        settings = Settings.of(vllm_config)
        target: NextToken
        if settings.target.startswith(_LIVE):
            target, self._alpha = settings.offered()
        else:
            target, self._alpha = settings.load(device, vllm_config.model_config.dtype), settings.strategy()
        self._guide = Guide(target, device)
        check_width(vllm_config.model_config.get_vocab_size(), self._guide.target)

    def is_argmax_invariant(self) -> bool:
        """Return False: the likeliest token of q is not that of π_θ."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow the requests that left, came and moved, in this order."""
        if batch_update is None:
            return
        for row in batch_update.removed:
            self._guide.remove(row)
        for row, _, prompt, answer in batch_update.added:
            self._guide.add(row, prompt, answer)
        for one, other, direction in batch_update.moved:
            (self._guide.swap if direction is MoveDirectionality.SWAP else self._guide.move)(one, other)

    def apply(self, logits: Tensor) -> Tensor:
        """Return log q [requests, width] from the scores of π_θ."""
        return mix(logits, self._guide.logits(len(logits)), self._alpha).scores
