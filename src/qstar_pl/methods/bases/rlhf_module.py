"""What every method shares: optimizer, checkpoints without frozen weights, and the seed of its samples."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim import Optimizer
from transformers import PreTrainedTokenizerBase

from qstar_pl.checkpoints.optimizer_options import Fresh, check_options
from qstar_pl.data import RLHFDataModule
from qstar_pl.distributed.clipping import clip_norm
from qstar_pl.distributed.placing import placed
from qstar_pl.evaluation.metrics import POLICY_METRICS, Facts, Measurements, Metric
from qstar_pl.models.blocks import compile_blocks, recompute_blocks
from qstar_pl.models.compiling import backend_of
from qstar_pl.models.source import ModelSource
from qstar_pl.optim.run_length import over_run
from qstar_pl.quiet import quieten
from qstar_pl.training.accumulation import AccumulationWindow
from qstar_pl.training.finite_watch import FiniteWatch
from qstar_pl.training.lengths import check_answers_fit, completion_tokens, evaluates
from qstar_pl.training.non_finite import NonFinite, Stop
from qstar_pl.training.plateau import Plateau
from qstar_pl.training.resume import ExactResume
from qstar_pl.training.run_length import run_length
from qstar_pl.training.seed import run_seed
from qstar_pl.training.trained_weights import load_trained_weights, trained_weights
from qstar_pl.types import AnsweredPrompts, DemonstrationBatch, PreferenceBatch, PromptBatch, StepReport, TensorFields


class RLHFModule(LightningModule):
    """Base of all methods.

    A subclass loads its models in `build_models` (so that a bad option costs no model load, and a strategy may shard
    them there), its `training_step` returns `{"loss": …, "report": StepReport}` for the diagnostics, and its
    `evaluate` adds a batch to the `metrics`, which `validate` and `test` report.
    """

    batch_type: ClassVar[type[TensorFields]]
    """What a training batch is: RLHFDataModule reads it."""
    tokenizer: PreTrainedTokenizerBase

    def __init__(
        self,
        optimizer: OptimizerCallable = lambda p: torch.optim.AdamW(p, lr=1e-4, weight_decay=0.0),
        lr_scheduler: LRSchedulerCallable | None = None,
        on_non_finite: NonFinite = Stop(),
        metrics: list[Metric] = POLICY_METRICS,
        gradient_checkpointing: bool = False,
        torch_compile: bool | str = False,
    ) -> None:
        super().__init__()
        quieten()  # before a trainer is built, which has something to say too
        self.gradient_checkpointing = gradient_checkpointing
        self.backend = backend_of(torch_compile)
        """What compiles the blocks of what trains; None: nothing."""
        self.optimizer = optimizer
        self.lr_scheduler = lr_scheduler
        self.sampling_seed = run_seed()
        """The seed of every rollout: the run's own, so that one number sets all."""
        self.metrics = Measurements(metrics)
        self.spent: Mapping[str, float] = {}
        """What training has cost up to the last validation, as `ThroughputDiagnostic` counts it; nothing without it."""
        self._built = False
        self.plateau = Plateau()
        self.window = AccumulationWindow()
        self.watch = FiniteWatch(on_non_finite)
        self.resume = ExactResume(self.watch, self.plateau)
        # Checkpoints lack the frozen weights on purpose; `load_state_dict` checks all others itself.
        self.strict_loading = False

    def configure_callbacks(self) -> Sequence[Callback]:
        """Return what goes with every method; a subclass that has callbacks of its own adds them."""
        if self.trainer.state.fn == TrainerFn.FITTING:  # the first hook of all: nothing is read or written yet
            check_options(self.optimizer)
        self.metrics.find()
        # Lightning asks in every stage, and would announce that a second one replaces the first.
        return [] if self.resume in self.trainer.callbacks else [self.resume]  # type: ignore[attr-defined]

    def setup(self, stage: str) -> None:
        """Take the run's seed again: it may have been set after this module was made."""
        self.sampling_seed = run_seed()

    def configure_model(self) -> None:
        """Build the models, sharded if the strategy shards; of Lightning's calls, one per stage, the first builds."""
        if not self._built:
            if self._trainer is not None:
                check_answers_fit(self.trainer, self.sources(), self.answer_lengths)
                if self.trainer.state.fn != TrainerFn.PREDICTING and evaluates(self.trainer):
                    self.metrics.check(self.facts(), fitting=self.trainer.state.fn == TrainerFn.FITTING)
            with placed(self):
                self.build_models()
                self.metrics.build(self.tokenizer)
            for model in self.trained_models():  # sharded by now: hooks of the strategy stay outside of both
                if self.backend is not None:
                    compile_blocks(model, self.backend)
                if self.gradient_checkpointing:
                    recompute_blocks(model)
            self._built = True
            if self._trainer is not None and self.trainer.training:
                # Now, before a strategy or a callback changes them.
                self.resume.note_frozen(self, self.frozen_parts())

    def build_models(self) -> None:
        """Load what the method needs; called once."""
        raise NotImplementedError

    def trained_models(self) -> list[nn.Module]:
        """Return the models that train, whose blocks `gradient_checkpointing` and `torch_compile` are about."""
        return []

    def frozen_parts(self) -> tuple[str, ...]:
        """Return names of submodules that never train: rebuilt from their source, never written to a checkpoint."""
        return ()

    def never_saved(self) -> tuple[str, ...]:
        """Return the frozen parts and the metrics, whose models have no part in training."""
        return (*self.frozen_parts(), "metrics")

    def answer_ends(self) -> list[int]:
        """Return the tokens that end the answers of the data: what ends an answer in training must stop sampling."""
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
        """Return what the optimizer is built over: parameters that train, or torch's dicts of them with options."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    @property
    def steps_per_batch(self) -> int:
        """Optimizer steps of one batch, where a batch takes several."""
        return 1

    def configure_optimizers(self) -> Any:
        """Build the optimizer over what trains, and the schedule, which is stepped once per optimizer step."""
        schedule = self.lr_scheduler
        if schedule is not None:
            schedule = over_run(schedule, lambda: run_length(self.trainer, self.steps_per_batch))
        self.resume.fresh = fresh = Fresh.of(self.optimizer, schedule, self.parameter_groups())
        if fresh.scheduler is None:
            return fresh.optimizer
        # Lightning's default interval is an epoch.
        config: dict[str, Any] = {"scheduler": fresh.scheduler, "interval": "step"}
        config |= self.plateau.config(fresh.scheduler, validates=evaluates(self.trainer))
        return {"optimizer": fresh.optimizer, "lr_scheduler": config}

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """See `Plateau.step`."""
        self.plateau.step(scheduler, metric, self.global_step)

    def step_output(self, report: StepReport, loss: Tensor) -> dict[str, Any]:
        """Return what `training_step` must: the loss, and the report cut from the graph."""
        if self.automatic_optimization:  # otherwise each of several steps notes its own loss (see `SeveralSteps`)
            self.watch.note_loss(loss, report.terms)
        return {"loss": loss, "report": report.detach()}

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip as Trainer(gradient_clip_val) says, by norm also where Lightning cannot (see `clip_norm`)."""
        if gradient_clip_val and gradient_clip_algorithm in (None, "norm"):
            clip_norm(self, optimizer, gradient_clip_val)
        else:
            super().configure_gradient_clipping(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_after_backward(self) -> None:
        """Average the window, then judge the gradient: it is complete, and neither clipped nor used yet."""
        if self.automatic_optimization:
            self.window.average(self.trainer)
            if self.window.is_last(self.trainer):
                self.watch.before_step(self, self.trainer.optimizers[0])

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Take the step of automatic optimization, and see `FiniteWatch.after_step`."""
        super().optimizer_step(*args, **kwargs)
        self.watch.after_step(self, self.global_step + 1)  # Lightning counts the step after this hook

    @property
    def spoiled(self) -> bool:
        """Whether the last batch gave nothing that is worth logging; see `FiniteWatch.spoiled`."""
        return self.watch.spoiled()

    @property
    def skipped_steps(self) -> int:
        """How many optimizer steps were left out because something was not finite."""
        return self.watch.skipped

    @property
    def data(self) -> RLHFDataModule | None:
        """What the trainer trains or measures on, if it is this project's data module."""
        data = None if self._trainer is None else getattr(self.trainer, "datamodule", None)
        return data if isinstance(data, RLHFDataModule) else None

    def facts(self) -> Facts:
        """Return what `validate` and `test` have for metrics to read, once the data are there."""
        return Facts() if self.data is None else Facts(self.data.examples, self.data.path)

    def evaluate(self, batch: PromptBatch | DemonstrationBatch | PreferenceBatch) -> AnsweredPrompts | None:
        """Add one batch to the metrics; what is measured follows from the batch's type.

        Returns:
            The answers that were drawn to it, one per prompt, for callbacks to read; None if none were.

        """
        raise NotImplementedError

    def wanted(self) -> list[Metric]:
        """Return the metrics that are to be measured now; see `Metric.expensive`."""
        return self.metrics.due(fitting=self._trainer is not None and self.trainer.state.fn == "fit")

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Measure one batch."""
        return {"answers": self.evaluate(batch)}

    test_step = validation_step

    def on_validation_epoch_end(self) -> None:
        """Log what was measured."""
        metrics = self.metrics.flush("val")  # already over all ranks, so nothing is left for sync_dist
        fitting = self.trainer.state.fn == TrainerFn.FITTING
        self.log_dict(metrics, logger=not fitting)
        if metrics and not self.trainer.sanity_checking:
            if fitting:
                self._log_at_this_step({**metrics, **self.spent})
            else:
                self.log_dict(self.spent)
        self.plateau.check(metrics)

    def _log_at_this_step(self, metrics: Mapping[str, Tensor | float]) -> None:
        """Give a validation to the loggers under the optimizer steps that it measures, as diagnostics are.

        Lightning would name the number of batches before the last one: one less, and fewer still where a batch takes
        several steps.
        """
        values = {name: float(value) for name, value in metrics.items()}
        for logger in self.trainer.loggers:
            logger.log_metrics({**values, "epoch": self.current_epoch}, self.global_step)
            logger.save()

    def on_test_epoch_end(self) -> None:
        """Log what was measured."""
        self.log_dict(self.metrics.flush("test"))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Say what the weights belong to, also where they are saved alone; see `ExactResume` for all else.

        Raises:
            NonFiniteError: if weights or moments are not finite; the checkpoint is not written then.

        """
        self.watch.check_saved(self)
        self.resume.describe_weights(self.trainer, checkpoint, self.answer_ends())

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Begin a micro-batch; see `AccumulationWindow` and `FiniteWatch`."""
        self.watch.begin(self, new_step=self.window.begin_batch(self.trainer))

    def state_dict(self, *, prefix: str = "", **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Return what trains; see `never_saved`."""
        return trained_weights(self, super().state_dict(prefix=prefix, **kwargs), self.never_saved(), prefix=prefix)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load what trains; see `load_trained_weights`."""
        # Never torch's strict, which would object to the frozen weights: what is missing is judged afterwards.
        load = partial(super().load_state_dict, strict=False, assign=assign)
        return load_trained_weights(self, state_dict, self.never_saved(), load)
