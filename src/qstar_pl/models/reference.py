"""Where π_init, the policy's frozen start, has its weights: the value of `reference:`."""

from __future__ import annotations

from abc import ABC, abstractmethod

from transformers import PreTrainedModel

from qstar_pl.errors import UserError
from qstar_pl.models.adapters_off import without_adapters
from qstar_pl.models.freeze import freeze
from qstar_pl.models.lora import LoRA
from qstar_pl.models.source import ModelSource


class Reference(ABC):
    """Says how π_init is held beside π_θ; which model it is follows from the policy's source."""

    def check(self, policy: ModelSource) -> None:  # noqa: B027 (most fit every policy)
        """Raise UserError if π_init cannot be held so; nothing is loaded yet."""

    @abstractmethod
    def load(self, source: ModelSource, policy: PreTrainedModel) -> PreTrainedModel:
        """Return π_init, frozen.

        Args:
            source: where the policy comes from.
            policy: what was loaded from it, untrained.

        """


class OwnCopy(Reference):
    """Loads the policy's source a second time: right for every policy, and as large as the policy."""

    def load(self, source: ModelSource, policy: PreTrainedModel) -> PreTrainedModel:
        """See `Reference.load`."""
        return freeze(source.load())


class AdapterOff(Reference):
    """The policy without its adapters, which start as nothing (see `LoRA`): one base model in memory, not two."""

    def check(self, policy: ModelSource) -> None:
        """See `Reference.check`; adapters that train on (`earlier=continue`) are themselves a part of π_init."""
        if not isinstance(policy, LoRA):
            raise UserError(f"policy must be LoRA for reference AdapterOff, got {type(policy).__name__}")
        if policy.earlier != "merge":
            raise UserError(
                f"policy.earlier must be merge for reference AdapterOff, got {policy.earlier}: adapters that train on "
                "belong to the start"
            )

    def load(self, source: ModelSource, policy: PreTrainedModel) -> PreTrainedModel:
        """See `Reference.load`."""
        self.check(source)
        return without_adapters(policy)


def usual_reference(policy: ModelSource, *, moves: bool) -> Reference:
    """Return AdapterOff where the policy's base is its start to the last bit, else OwnCopy.

    Args:
        policy: where the policy comes from.
        moves: whether something will change the reference's weights.

    """
    # Of a class derived from LoRA nothing is known.
    return AdapterOff() if type(policy) is LoRA and policy.earlier == "merge" and not moves else OwnCopy()
