"""A reference that follows the policy."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict

from qstar_pl.checks import at_least, within
from qstar_pl.errors import UserError

from .schedule import EveryNSteps

_CHECKPOINT_KEY = "qstar_pl_lagged_reference"


class LaggedReference(Callback):
    """Moves π_init toward π_θ: reference ← decay · reference + (1 − decay) · policy, every n optimizer steps.

    With decay 0 (default) the reference is a copy of the policy as it was up to n steps ago (the iterated reference of
    online DPO and of REINFORCE++); with n = 1 and a decay near 1 it is an exponential moving average (WARP, Ramé et al.
    2024). KL terms, DPO's margins and `kl/policy_reference` then refer to the moved reference, and so does a target
    that tilts the reference.

    The reference is left out of a method's own checkpoints, since it normally comes from its source; this callback
    saves it, so that a resumed run equals the uninterrupted one, and `validate` with the same callback sees it too.

    Args:
        every_n_steps: optimizer steps between two updates.
        decay: share of the old reference that stays, in [0, 1).

    Raises:
        UserError: if an argument is out of range, or the method has no reference, or one without weights of its own.

    """

    moves_reference: ClassVar[bool] = True
    """To a method: π_init needs weights of its own."""

    def __init__(self, every_n_steps: int = 100, decay: float = 0.0) -> None:
        at_least(1, every_n_steps=every_n_steps)
        within("[0, 1)", decay=decay)
        self.decay = decay
        self._schedule = EveryNSteps(every_n_steps)
        self._loaded: dict[str, Any] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count from the step that training starts or resumes at."""
        _models(pl_module)  # refuses a method without a reference before the first step
        self._restore(pl_module)
        self._schedule.start(trainer.global_step)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure against the reference of the checkpoint."""
        self._restore(pl_module)

    on_test_start = on_validation_start
    on_predict_start = on_validation_start

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the reference when it is due."""
        if not self._schedule.is_due(trainer.global_step):
            return
        policy, reference = _models(pl_module)
        for old, new in zip(reference.parameters(), policy.parameters(), strict=True):
            old.lerp_(new.to(old), 1 - self.decay)  # the reference may be in another precision
        for fixed, current in zip(reference.buffers(), policy.buffers(), strict=True):
            fixed.copy_(current)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the reference."""
        _, reference = _models(pl_module)
        # Whole, however it is sharded: a collective call, whose result is on rank 0, which writes the file.
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        checkpoint[_CHECKPOINT_KEY] = dict(get_model_state_dict(reference, options=options))

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the reference until it has its place: on validation Lightning calls this before the model is built."""
        self._loaded = checkpoint.get(_CHECKPOINT_KEY)

    def _restore(self, pl_module: LightningModule) -> None:
        if self._loaded is not None:
            set_model_state_dict(
                _models(pl_module)[1], self._loaded, options=StateDictOptions(full_state_dict=True, strict=True)
            )
            self._loaded = None


def _models(pl_module: LightningModule) -> tuple[nn.Module, nn.Module]:
    policy, reference = (getattr(pl_module, name, None) for name in ("policy", "reference"))
    if not isinstance(policy, nn.Module) or not isinstance(reference, nn.Module):
        raise UserError(f"callbacks must fit the method: {type(pl_module).__name__} has no reference that could follow")
    if next(reference.parameters(), None) is None:
        raise UserError("reference must be OwnCopy for LaggedReference, which moves its weights, got AdapterOff")
    return policy, reference
