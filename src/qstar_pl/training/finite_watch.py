"""Keeps what is not finite out of the weights, and out of checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torch.optim import Optimizer

from qstar_pl.checkpoints.finite import all_finite, first_not_finite, states_of
from qstar_pl.distributed.ranks import anywhere, said_by_ranks
from qstar_pl.errors import NonFiniteError
from qstar_pl.training.non_finite import NonFinite
from qstar_pl.types import Rollout

SHOWN = 60
"""Characters of a prompt that a message shows."""
KEY = "qstar_skipped_steps"
"""Checkpoint key of the number of steps that had been left out by then."""
OVERFLOWS = 1.0
"""Below this loss scale it is the gradient itself that overflows, and no longer its scaled-up copy."""
REWARDS = "the reward must give every answer a number"
SKIP = "--model.on_non_finite=Skip leaves such steps out"
TAMER = "a lower learning rate, gradient clipping or clipped importance weights may help"


@dataclass(frozen=True)
class Note:
    """Values that must be finite for a step to be taken."""

    values: Tensor
    """Any shape; every entry must be finite."""
    describe: Callable[[], str]
    """Says what is wrong with the values, in a few words; called only if something is."""
    advice: str
    of_batch: bool
    """Whether all optimizer steps that are taken on the batch depend on it, and not only the next one."""


class FiniteWatch:
    """Decides, on every process alike, whether the optimizer may take a step, and looks at what it made of the weights.

    A step is left out by taking the gradients away: optimizers pass over parameters that have none, so weights and
    moments stay, while Lightning still counts the step. Under float16 the loss scaler leaves the step out; that it also
    does so while it looks for a scale (the scaled gradient overflowed) is no fault. The weights are checked after each
    step, since an update that was too large cannot be taken back.

    Each optimizer step costs two reductions over what trains, and waits for the device twice.
    """

    def __init__(self, strategy: NonFinite) -> None:
        self.strategy = strategy
        self.skipped = 0
        """Steps that were left out so far."""
        self._notes: list[Note] = []
        self._left_out = False
        self._started = False
        self._ruined: str | None = None

    def begin(self, module: LightningModule, *, new_step: bool) -> None:
        """Forget the notes of the step before; before the first step, look at all weights.

        Raises:
            NonFiniteError: if a model is not finite to begin with.

        """
        if new_step:
            self._notes.clear()
            self._left_out = False
        if not self._started:
            self._started = True
            if said := _wrong(module, "weights", module.named_parameters()):
                raise NonFiniteError(f"{said}, before the first step", everywhere=True)

    def note(self, values: Tensor, describe: Callable[[], str], advice: str, *, of_batch: bool = False) -> None:
        """Take the next step only if `values` are finite; see `Note`."""
        self._notes.append(Note(values.detach(), describe, advice, of_batch))

    def note_loss(self, loss: Tensor, terms: Mapping[str, Tensor]) -> None:
        """Take the next step only if `loss` is finite; `terms` say which part of it is not."""
        # Kept until the step: attached to the graph they would keep its activations alive.
        loss, terms = loss.detach(), {name: term.detach() for name, term in terms.items()}

        def describe() -> str:
            first = next((f", loss/{name} is {float(term)}" for name, term in terms.items() if not term.isfinite()), "")
            return f"loss must be finite, got {float(loss)}{first}"

        self.note(loss, describe, TAMER)

    def spoiled(self) -> bool:
        """Return whether what the batch reported is not worth logging: not finite here, or its step was left out.

        Under a strategy that stops at the first such step the answer is no, without waiting for the device.
        """
        return self.strategy.goes_on(0) and (self._left_out or any(map(_is_wrong, self._notes)))

    def before_step(self, module: LightningModule, optimizer: Optimizer) -> None:
        """Take the gradients away if the step must not be taken; all processes must call it.

        Raises:
            NonFiniteError: if the run ends here; weights and optimizer are as after the step before.

        """
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        scaler = getattr(module.trainer.precision_plugin, "scaler", None)
        # At a larger loss scale the scaled gradient's overflow is the scaler's business: it lowers the scale.
        judged = parameters if scaler is None or scaler.get_scale() < OVERFLOWS else []
        sound = [*(note.values.isfinite().all() for note in self._notes), all_finite(p.grad for p in judged)]
        if anywhere(_none(sound, module)):
            names = {parameter: name for name, parameter in module.named_parameters()}
            own = self._describe((names.get(p, "a parameter"), p.grad) for p in judged)
            # A gradient that the ranks share is spoiled on all of them; the earliest note says where it began.
            _, said, advice = min(said_by_ranks(own), key=lambda one: one[0])
            self._leave_out(module, said, advice)
            for parameter in parameters:
                if scaler is None:
                    parameter.grad = None
                else:  # the scaler wants gradients to look at, and leaves the step out if one is not finite
                    parameter.grad.fill_(torch.nan)
        # In manual optimization the next step on the batch has a loss of its own, but the same rewards.
        self._notes = [note for note in self._notes if note.of_batch or module.automatic_optimization]

    def after_step(self, module: LightningModule, step: int) -> None:
        """Look at the weights that an update has made; all processes must call it.

        Args:
            module: which has just taken a step.
            step: its number, from 1.

        Raises:
            NonFiniteError: if there is a weight that training cannot go on with.

        """
        if said := _wrong(module, "weights", _trained(module)):
            advice = "a lower learning rate (--model.optimizer.lr) or gradient clipping keeps them finite"
            self._ruined = f"{said}, after step {step}: {last_checkpoint(module.trainer)}; {advice}"
            raise NonFiniteError(self._ruined, everywhere=True)

    def check_saved(self, module: LightningModule) -> None:
        """Look at what a checkpoint is about to be written of; all processes must call it.

        Raises:
            NonFiniteError: if it would hold something that is not finite; the checkpoints before stay as they are.

        """
        trainer = module.trainer
        if self._ruined is None:  # else this is a checkpoint on the way out of an error, and nothing need be read
            trained = _trained(module)
            states = states_of(trainer.optimizers, {parameter: name for name, parameter in trained})
            said = _wrong(module, "what is saved", [*trained, *states])
            if said is None:
                return
            self._ruined = f"{said}, at step {trainer.global_step}: nothing was saved, {last_checkpoint(trainer)}"
        for logger in trainer.loggers:
            logger.save()  # Lightning does not get to it when an error is raised while another one is handled
        raise NonFiniteError(self._ruined, everywhere=True)

    def stopped(self, module: LightningModule, said: str, advice: str, *, everywhere: bool = False) -> NonFiniteError:
        """Return the error of a run that ends in a step that was not taken; see `NonFiniteError`."""
        step, checkpoint = module.trainer.global_step + 1, last_checkpoint(module.trainer)
        message = f"{said}, in step {step}, which was not taken: {checkpoint}; {advice}"
        return NonFiniteError(message, everywhere=everywhere)

    def _describe(self, gradients: Iterable[tuple[str, Tensor]]) -> tuple[int, str, str] | None:
        """Return (place in the step, what is wrong on this process, what may help): notes, then the first gradient."""
        for place, note in enumerate(self._notes):
            if _is_wrong(note):
                return place, note.describe(), note.advice
        if (found := first_not_finite(gradients)) is None:
            return None
        return len(self._notes), f"the gradient must be finite, got {found[1]} in {found[0]}", TAMER

    def _leave_out(self, module: LightningModule, said: str, advice: str) -> None:
        if not self.strategy.goes_on(self.skipped):
            others = f"{self.skipped} steps were left out before it, as many as may be; {advice}"
            raise self.stopped(module, said, others if self.skipped else f"{advice}; {SKIP}", everywhere=True)
        self.skipped += 1
        self._left_out = True
        rank_zero_warn(f"step {module.trainer.global_step + 1} is left out ({self.skipped} so far): {said}")


def describe_rewards(rewards: Tensor, judge: str, rollout: Rollout) -> str:
    """Say which rewards [rows] of a rollout are not finite; one of them is not."""
    wrong = (~rewards.isfinite()).nonzero().flatten().tolist()
    first, count = wrong[0], f"{len(wrong)} of {len(rewards)} answers"
    example = rollout.prompts.examples[int(rollout.prompt_index[first])]
    text = " ".join(example.turns[-1].content.split()) if example.turns else ""
    prompt = repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")
    if source := example.metadata.get("source"):
        prompt += f" ({source})"
    value = float(rewards[first])
    return f"reward must be finite, got {value} from {judge} for {count}, the first in row {first}, to {prompt}"


def last_checkpoint(trainer: Trainer) -> str:
    """Say which checkpoint a run can go on from: the newest that it wrote, else the one that it began with."""
    writers = [one for one in trainer.checkpoint_callbacks if isinstance(one, ModelCheckpoint)]
    # Those that have saved in this run: what they know of earlier ones may be out of date.
    writers = [one for one in writers if one._last_global_step_saved > 0]
    for writer in sorted(writers, key=lambda one: one._last_global_step_saved, reverse=True):
        for path in (writer._last_checkpoint_saved, writer.last_model_path, writer.best_model_path):
            if path and Path(path).exists():
                return f"the last checkpoint is finite, --ckpt_path {_short(path)} goes on from it"
    if trainer.ckpt_path and Path(trainer.ckpt_path).exists():
        return f"--ckpt_path {_short(trainer.ckpt_path)}, where this run began, is as it was"
    return "no checkpoint was written before"


def _short(path: str | Path) -> Path:
    absolute = Path(path).absolute()
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute


def _is_wrong(note: Note) -> bool:
    return not bool(note.values.isfinite().all())


def _trained(module: LightningModule) -> list[tuple[str, Tensor]]:
    return [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]


def _none(sound: Iterable[Tensor], module: LightningModule) -> Tensor:
    device = module.trainer.strategy.root_device  # where the ranks' reduction of the flag works
    return ~torch.stack([one.to(device) for one in sound]).all()


def _wrong(module: LightningModule, what: str, named: Iterable[tuple[str, Tensor]]) -> str | None:
    """Return what is wrong with tensors of any process, None if nothing is; all processes must call it."""
    tensors = list(named)
    if not anywhere(_none([all_finite(tensor for _, tensor in tensors)], module)):
        return None
    name, value = said_by_ranks(first_not_finite(tensors))[0]
    return f"{what} must be finite, got {value} in {name}"
