"""The policy's own weights as another model: what lies under its adapters, for a target beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.errors import UserError
from qstar_pl.models.adapter_folder import read_adapter
from qstar_pl.models.adapters_off import without_adapters
from qstar_pl.models.capabilities import Capabilities
from qstar_pl.models.from_checkpoint import FromCheckpoint
from qstar_pl.models.lora import LoRA, is_adapted
from qstar_pl.models.other_adapters import with_adapters
from qstar_pl.models.source import ModelSource


@dataclass(frozen=True)
class Lent:
    """A policy whose weights others may read."""

    source: ModelSource
    """Where it comes from."""
    model: PreTrainedModel
    """What was loaded from there."""
    trains: bool
    """Whether it is trained."""
    unasked: bool
    """Whether a source that says the very model under its adapters is read there without being asked to."""


_LENT: ContextVar[Lent | None] = ContextVar("lent", default=None)


@contextmanager
def lending(source: ModelSource, model: PreTrainedModel, *, trains: bool, unasked: bool = True) -> Iterator[None]:
    """Let what is loaded inside the block be made of the policy's weights.

    A context, not an argument of `ModelSource.load`, as for placements.
    """
    token = _LENT.set(Lent(source, model, trains, unasked))
    try:
        yield
    finally:
        _LENT.reset(token)


@dataclass(frozen=True)
class PolicyBase(ModelSource):
    """The model under the policy's adapters, alone or with other ones: a target without weights of its own.

    One base is in memory for both, and each token of q costs one pass of it instead of two (see docs/decoding.md).
    """

    adapter: str | None = None
    """Other adapters for it: a folder that peft or `qstar export --adapter_only` wrote; null: none."""

    def check_beside(self, policy: ModelSource, *, trains: bool) -> None:
        """See `ModelSource.check_beside`."""
        # A policy that is not trained may also be the base itself, with adapters for the target alone.
        if not isinstance(policy, LoRA | FromCheckpoint) and (trains or self.adapter is None):
            raise UserError(f"policy must have adapters (LoRA) for PolicyBase, got {type(policy).__name__}")
        if self.adapter is not None:
            read_adapter(Path(self.adapter))

    def load(self) -> PreTrainedModel:
        """See `ModelSource.load`; made of the policy, frozen.

        Raises:
            UserError: if there is no policy beside it, or it has no adapters, or `adapter` does not fit it.

        """
        lent = _lent()
        if not is_adapted(lent.model) and (lent.trains or self.adapter is None):
            raise UserError(
                "policy must have adapters (LoRA) for PolicyBase, got "
                f"{type(lent.source).__name__} without, whose weights are π_θ's own"
            )
        if self.adapter is None:
            return without_adapters(lent.model)
        return with_adapters(lent.model, read_adapter(Path(self.adapter)))

    def load_reward(self) -> PreTrainedModel:
        """See `ModelSource.load_reward`; there is none."""
        raise UserError("model must be another one for a reward, got PolicyBase, which is a language model")

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """See `ModelSource.tokenizer`; the policy's."""
        return _lent().source.tokenizer()

    def capabilities(self, tokenizer: PreTrainedTokenizerBase | None = None) -> Capabilities:
        """See `ModelSource.capabilities`; the policy's."""
        return _lent().source.capabilities(tokenizer)


def borrowed(source: ModelSource) -> ModelSource:
    """Return PolicyBase if the source says what the policy holds under its adapters anyway, else the source itself."""
    lent = _LENT.get()
    if lent is None or not lent.unasked or not is_adapted(lent.model) or lent.source.under_adapters() != source:
        return source
    return PolicyBase()


def _lent() -> Lent:
    lent = _LENT.get()
    if lent is None:
        raise UserError("PolicyBase must be the model of a target beside a policy, got no policy")
    return lent
