"""What every method shares: optimiser, checkpoints without frozen weights, and the seed of its samples."""

import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.optim import Optimizer
from transformers import PreTrainedTokenizerBase

from qstar_pl.checkpoints.finite import first_not_finite
from qstar_pl.checkpoints.optimizer_options import DUE, Fresh
from qstar_pl.checkpoints.optimizer_options import KEY as RATES
from qstar_pl.checkpoints.optimizers import KEY as OPTIMIZERS
from qstar_pl.checkpoints.optimizers import check_has_state, check_same, names_of
from qstar_pl.checkpoints.pending_validation import KEY as VALIDATION
from qstar_pl.checkpoints.pending_validation import make_up_for_validation, validation_due_after
from qstar_pl.checkpoints.random_states import KEY as RANDOM_STATES
from qstar_pl.checkpoints.random_states import random_states, restore_random_states
from qstar_pl.distributed.clipping import clip_norm
from qstar_pl.distributed.placing import placed
from qstar_pl.errors import NonFiniteError, UserError
from qstar_pl.methods.metrics import EvaluationMetrics
from qstar_pl.models.from_checkpoint import ENDS_KEY
from qstar_pl.models.lora import names_of_bases
from qstar_pl.models.source import ModelSource
from qstar_pl.training.accumulation import AccumulationWindow
from qstar_pl.training.finite_watch import KEY as SKIPPED
from qstar_pl.training.finite_watch import TAMER, FiniteWatch
from qstar_pl.training.frozen_models import KEY as MODELS
from qstar_pl.training.frozen_models import check_unchanged, fingerprints
from qstar_pl.training.lengths import check_context, completion_tokens, prompt_tokens
from qstar_pl.training.non_finite import NonFinite, Stop
from qstar_pl.training.plateau import Plateau
from qstar_pl.types import DemonstrationBatch, PreferenceBatch, PromptBatch, StepReport, TensorFields


class RLHFModule(LightningModule):
    """Base of all methods.

    A subclass loads its models in `build_models` (so that a bad option costs no model load, and a strategy may shard
    them there), its `training_step` returns `{"loss": …, "report": StepReport}` for the diagnostics, and its
    `evaluate` adds a batch to `metrics`, which `validate` and `test` report.
    """

    batch_type: ClassVar[type[TensorFields]]
    """What a training batch is: RLHFDataModule reads it."""
    frozen: ClassVar[tuple[str, ...]] = ()
    """Names of submodules that never train: rebuilt from their source, never written to a checkpoint."""
    tokenizer: PreTrainedTokenizerBase

    def __init__(
        self,
        optimizer: OptimizerCallable = lambda p: torch.optim.AdamW(p, lr=1e-4, weight_decay=0.0),
        lr_scheduler: LRSchedulerCallable | None = None,
        on_non_finite: NonFinite = Stop(),
    ) -> None:
        super().__init__()
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.metrics = EvaluationMetrics()
        self._built = False
        self._random_states: list[dict[str, Any]] | None = None
        self._fresh: Fresh | None = None
        self._resumed: dict[str, Any] | None = None
        self.plateau = Plateau()
        self.window = AccumulationWindow()
        self.watch = FiniteWatch(on_non_finite)
        self._validation_due_after: int | None = None
        self._frozen_fingerprints: dict[str, str] = {}
        self.accept_changed_models = False
        """Whether a run may go on beside other frozen models than it was trained with."""
        self.validated_step: int | None = None
        """Optimiser steps taken at the last validation."""
        # Frozen weights are absent from checkpoints on purpose; load_state_dict checks the rest.
        self.strict_loading = False

    def configure_model(self) -> None:
        """Build the models, sharded if the strategy shards; a second call (Lightning makes one per stage) does nothing.

        What a method has is said in `build_models`.
        """
        if not self._built:
            self.check_answers_fit()
            with placed(self):
                self.build_models()
            self._built = True
            if self._trainer is not None and self.trainer.training:
                # Before a strategy or a callback changes anything: as the sources give them.
                self._frozen_fingerprints = fingerprints(self, self.frozen)

    def build_models(self) -> None:
        """Load what the method needs; called once."""
        raise NotImplementedError

    def check_answers_fit(self) -> None:
        """Raise UserError if prompts and answers do not fit into a model, before one is loaded; see `answer_lengths`.

        Without a trainer or a data module that bounds them there is nothing to compare.
        """
        prompt = None if self._trainer is None else prompt_tokens(self.trainer)
        if prompt is None:
            return
        for name, source in self.sources().items():
            check_context(source.capabilities().context, name, prompt, self.answer_lengths())

    def answer_ends(self) -> list[int]:
        """Return the tokens that end the answers of the data: where training ends them, sampling must stop."""
        data = None if self._trainer is None else getattr(self.trainer, "datamodule", None)
        return list(getattr(data, "end_ids", ()))

    def sources(self) -> dict[str, ModelSource]:
        """Return option → model that reads prompts and answers in the policy's tokens."""
        return {}

    def answer_lengths(self) -> dict[str, int]:
        """Return option → longest answer, in tokens, of those that this run reads or writes."""
        longest = completion_tokens(self.trainer)
        return {} if longest is None else {"data.max_completion_tokens": longest}

    def parameter_groups(self) -> list[Any]:
        """Return what the optimiser is built over: parameters that train, or torch's dicts of them with options."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def configure_optimizers(self) -> Any:
        """Build the optimiser over what trains, and the schedule, which is stepped once per optimiser step.

        A ReduceLROnPlateau is stepped whenever its metric was measured. In a run that goes on, both have the options
        given now, and stand where the checkpoint does.
        """
        self._fresh = Fresh.of(self.optimizer, self.lr_scheduler, self.parameter_groups())
        if self._resumed is not None:
            check_same(self._resumed.get(OPTIMIZERS), [self._fresh.optimizer])
            self._fresh.go_on(self._resumed, loaded=False)
            self._resumed = None
        if (scheduler := self._fresh.scheduler) is None:
            return self._fresh.optimizer
        config: dict[str, Any] = {"scheduler": scheduler, "interval": "step"}
        return {"optimizer": self._fresh.optimizer, "lr_scheduler": config | self.plateau.config(scheduler)}

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step a schedule; one that waits for a plateau only if `metric` was measured since."""
        try:
            if not self.plateau.watches(scheduler):
                super().lr_scheduler_step(scheduler, metric)
            elif self.plateau.is_new(metric):
                scheduler.step(metric)
        except (ArithmeticError, ValueError, LookupError) as error:  # torch checks few of a schedule's options before
            raise UserError(
                f"lr_scheduler must suit the length of the run and its own options, got {type(scheduler).__name__}, "
                f"which fails after step {self.global_step}: {error}"
            ) from error

    def step_schedule(self) -> None:
        """Step the schedule after an optimiser step of manual optimisation."""
        for config in self.trainer.lr_scheduler_configs:
            self.lr_scheduler_step(config.scheduler, self.plateau.measured(self.trainer))

    @property
    def sampling_seed(self) -> int:
        """The seed of every rollout: the run's own (`--seed_everything`), so that one number sets all."""
        return int(os.environ.get("PL_GLOBAL_SEED", "0"))

    def step_output(self, report: StepReport, loss: Tensor) -> dict[str, Any]:
        """Return what `training_step` must: the loss, and the report cut from the graph."""
        if self.automatic_optimization:
            self.note_loss(loss, report.terms)
        return {"loss": loss, "report": report.detach()}

    def note_loss(self, loss: Tensor, terms: Mapping[str, Tensor]) -> None:
        """Let the optimizer step wait until `loss` is known to be finite; see `FiniteWatch`."""
        loss, terms = loss.detach(), {name: term.detach() for name, term in terms.items()}

        def describe() -> str:
            first = next((f", loss/{name} is {float(term)}" for name, term in terms.items() if not term.isfinite()), "")
            return f"loss must be finite, got {float(loss)}{first}"

        self.watch.note(loss, describe, TAMER)

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip as Trainer(gradient_clip_val) says, by norm also where Lightning cannot (see `clip_norm`)."""
        if gradient_clip_val and gradient_clip_algorithm in (None, "norm"):
            clip_norm(self, optimizer, gradient_clip_val)
        else:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_after_backward(self) -> None:
        """See `AccumulationWindow`: the last window of an epoch may have fewer batches than the others.

        Then see `FiniteWatch`: the gradient is whole now, and nothing has been made of it yet.
        """
        if self.automatic_optimization:
            self.window.average(self.trainer)
            if self.window.is_last(self.trainer):
                self.watch.before_step(self, self.trainer.optimizers[0])

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Take the step of automatic optimization, and see `FiniteWatch.after_step`."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.watch.after_step(self, self.global_step + 1)  # it is counted after this

    @property
    def spoiled(self) -> bool:
        """Whether the last batch gave nothing that is worth logging; see `FiniteWatch.spoiled`."""
        return self.watch.spoiled()

    @property
    def skipped_steps(self) -> int:
        """How many optimizer steps were left out because something was not finite."""
        return self.watch.skipped

    def evaluate(self, batch: PromptBatch | DemonstrationBatch | PreferenceBatch) -> None:
        """Add one batch to the metrics; what is measured follows from the batch's type."""
        raise NotImplementedError

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Measure one batch."""
        self.evaluate(batch)

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Measure one batch."""
        self.evaluate(batch)

    def on_validation_epoch_end(self) -> None:
        """Log what was measured."""
        metrics = self.metrics.flush("val")
        self.log_dict(metrics)
        self.plateau.check(metrics)
        self.validated_step = self.global_step

    def on_test_epoch_end(self) -> None:
        """Log what was measured."""
        self.log_dict(self.metrics.flush("test"))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the random states of all processes (Lightning calls this on each), and what is due.

        Raises:
            NonFiniteError: if weights or moments are not finite; the checkpoint is not written then.

        """
        self.watch.check_saved(self)
        checkpoint[SKIPPED] = self.watch.skipped
        checkpoint[ENDS_KEY] = self.answer_ends()
        checkpoint[MODELS] = self._frozen_fingerprints
        checkpoint[OPTIMIZERS] = names_of(self.trainer.optimizers) if "optimizer_states" in checkpoint else []
        checkpoint[RATES] = None if self._fresh is None else self._fresh.rates
        checkpoint[DUE] = self.plateau.due(self.trainer)
        checkpoint[RANDOM_STATES] = random_states()
        checkpoint[VALIDATION] = validation_due_after(self.trainer)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take them back when training begins: what is set up until then may draw.

        Only where the run goes on: `validate` and `load_from_checkpoint` (no trainer) read weights, nothing else.
        """
        if self._trainer is None or not self._trainer.training:
            return
        check_has_state(checkpoint)
        check_unchanged(checkpoint.get(MODELS) or {}, self._frozen_fingerprints, self.accept_changed_models)
        if self.trainer.optimizers and self._fresh is not None:  # sharding strategies load them with the weights
            self._fresh.go_on(checkpoint, loaded=True)
        else:
            self._resumed = checkpoint
        self._random_states = checkpoint.get(RANDOM_STATES)
        self._validation_due_after = checkpoint.get(VALIDATION)
        self.watch.skipped = checkpoint.get(SKIPPED, 0)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Go on where a checkpoint was written."""
        self.watch.begin(self, new_step=self.window.begin_batch(self.trainer))
        self.take_up()

    def take_up(self) -> None:
        """Go on with the random states of a checkpoint, after a validation that it was written just before."""
        if self._validation_due_after is not None:
            make_up_for_validation(self.trainer, self._validation_due_after)
            self._validation_due_after = None
            for config in self.trainer.lr_scheduler_configs:
                if config.reduce_on_plateau:
                    self.lr_scheduler_step(config.scheduler, self.plateau.measured(self.trainer))
        if self._random_states is not None:
            restore_random_states(self._random_states, self.trainer.global_rank, self.trainer.world_size)
            self._random_states = None

    def state_dict(self, *, prefix: str = "", **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Return what trains; see `frozen`, and `LoRA` for the base of a model with adapters."""
        state: dict[str, Any] = super().state_dict(prefix=prefix, **kwargs)
        frozen = tuple(f"{prefix}{name}." for name in self.frozen)
        bases = {f"{prefix}{name}" for name in names_of_bases(self)}
        return {key: value for key, value in state.items() if not key.startswith(frozen) and key not in bases}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load what trains.

        Raises:
            UserError: if the checkpoint lacks a trainable weight, has one that this method does not know, one of
                another shape, or one that is not finite.

        """
        weights = (item for item in state_dict.items() if isinstance(item[1], Tensor))
        if (found := first_not_finite(weights)) is not None:
            raise NonFiniteError(f"ckpt_path must hold finite weights, got one with {found[1]} in {found[0]}")
        try:
            result = super().load_state_dict(state_dict, strict=False, assign=assign)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise UserError(f"ckpt_path must hold weights of this model's shape: {reason}") from error
        absent, bases = tuple(f"{name}." for name in self.frozen), names_of_bases(self)
        missing = [key for key in result.missing_keys if not key.startswith(absent) and key not in bases]
        result.missing_keys[:] = missing  # what is absent on purpose is nothing to warn of
        if missing or result.unexpected_keys:
            unknown = result.unexpected_keys
            raise UserError(
                f"ckpt_path must hold the weights of {type(self).__name__}, got one with {len(missing)} missing "
                f"{missing[:2]} and {len(unknown)} unknown {unknown[:2]}"
            )
        return result
