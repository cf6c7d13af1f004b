"""Rollouts drawn while earlier ones are learned from: which weights draw which batch, and how a run resumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, distributed

from qstar_pl.distributed.sharding import sharded_parts
from qstar_pl.errors import UserError
from qstar_pl.models import LanguageModel
from qstar_pl.models.adapters_off import AdaptersOff
from qstar_pl.models.endings import add_ends
from qstar_pl.rollout.truncation import Truncation
from qstar_pl.training.background import BackgroundRollouts, Drawn, Order
from qstar_pl.types import KeptSets, PromptBatch, Rollout, SamplerInfo

if TYPE_CHECKING:
    from qstar_pl.methods.bases.rollout_module import RolloutModule

KEY = "qstar_rollouts_ahead"
_INFO = ("exact", "seed", "drafted", "accepted", "answers_per_set", "discarded")


class DrawingAhead(Callback):
    """Keeps a bounded queue of rollouts, each drawn by weights at most `max_staleness` optimizer steps old.

    Before the step on batch b, rollouts are asked for up to batch b + n, n = max_staleness divided by the optimizer
    steps of a batch, from the weights that there are then; an epoch's batches are drawn within the epoch. The first n
    are therefore fresher than the others. The rollouts that wait are part of a checkpoint, with the numbers of the
    weights that drew them, so a resumed run learns from the same ones.
    """

    def __init__(self, method: RolloutModule, batches: int) -> None:
        """Make the callback of one method.

        Args:
            method: whose sampler draws.
            batches: n, at least 1.

        """
        self.method = method
        self.batches = batches
        self._queue: BackgroundRollouts | None = None
        self._taken: Drawn | None = None
        """What the step at hand learns from: a checkpoint that is written because the step failed needs it again."""
        self._restored: list[dict[str, Any]] = []

    def check(self, trainer: Trainer) -> None:
        """Raise UserError for options that two threads cannot share; called before anything is loaded."""
        method, sampler = self.method, self.method.sampler
        if method.data is None:
            raise UserError(f"data must be an RLHFDataModule where max_staleness is {method.max_staleness}")
        # Autocast belongs to a thread; the others set torch's default dtype, which all threads share.
        if type(trainer.precision_plugin) not in (Precision, MixedPrecision):
            raise UserError(
                f"trainer.precision must be 32-true or mixed where max_staleness is {method.max_staleness}, got "
                f"{trainer.precision}"
            )
        if Truncation(sampler.temperature, sampler.top_k, sampler.top_p).cuts and not sampler.records_kept:
            raise UserError(
                f"sampler.top_k and sampler.top_p must be null where max_staleness is {method.max_staleness} (an "
                f"EngineSampler records what they leave over), got {sampler.top_k} and {sampler.top_p}"
            )
        if method.moves_reference():
            raise UserError(f"max_staleness must be 0 where a callback moves π_init, got {method.max_staleness}")

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget the rollouts of a run that has failed; those of a checkpoint are restored after this."""
        self._restored = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse models that two threads cannot share, before the first step."""
        method = self.method
        models = [*method.target.decoding_models(), *method.sampler.models()]
        if any(sharded_parts(model) for model in [method.policy, *models]):
            raise UserError(f"max_staleness must be 0 where models are sharded, got {method.max_staleness}")
        if any(isinstance(part, AdaptersOff) for model in models for _, part in model.named_modules()):
            raise UserError(
                "max_staleness must be 0 where π_t is read from the policy's own weights, under its adapters, got "
                f"{method.max_staleness}"
            )

    def next(self, prompts: PromptBatch) -> Rollout:
        """Return the rollout of a batch, and have those of the batches that come drawn meanwhile."""
        method = self.method
        assert method.data is not None  # see `on_fit_start`
        queue = self._queue = self._queue or self._started()
        batches: list[Any] = [prompts, *method.data.coming]
        self._put_back(queue, batches)
        step = method.global_step
        for place in range(len(queue), len(batches)):
            seed = method.step_seed + place * method.steps_per_batch  # that of the step which will learn from it
            queue.ask(Order(batches[place].to(method.device), seed % 2**63, step))
        drawn = self._taken = queue.take()
        info = replace(drawn.rollout.info, staleness_steps=step - drawn.step)
        return replace(drawn.rollout, prompts=prompts, info=info)

    def _started(self) -> BackgroundRollouts:
        method = self.method
        model = method.policy_source.load()
        add_ends(model, method.answer_ends())
        tokens = LanguageModel(model.to(method.device), method.tokenizer)

        def draw(order: Order) -> Rollout:
            method.sampler.note_step(order.step)
            return method.sampler.draw(
                order.prompts, tokens, method.target, samples=method.samples_per_prompt, seed=order.seed
            )

        return BackgroundRollouts(method.policy, model, draw, method.device.type)

    def _put_back(self, queue: BackgroundRollouts, batches: list[Any]) -> None:
        """Go on with what a checkpoint holds, if these are the batches that it was drawn for."""
        restored, self._restored = self._restored[: len(batches)], []
        if not all(self._fits(item, batch, place) for place, (item, batch) in enumerate(zip(restored, batches))):  # noqa: B905
            rank_zero_warn(
                "The rollouts in the checkpoint were drawn ahead for other prompts than those that come now, or under "
                "another samples_per_prompt or max_staleness: they are drawn anew, so the run goes on otherwise than "
                "the one that wrote it."
            )
            return
        queue.put(
            [_unpacked(item, batch.to(self.method.device)) for item, batch in zip(restored, batches, strict=False)]
        )

    def _fits(self, item: Mapping[str, Any], batch: PromptBatch, place: int) -> bool:
        """Return whether a stored rollout is one of this batch, which is learned from `place` batches from now."""
        method = self.method
        age = method.global_step + place * method.steps_per_batch - item["step"]
        answers = len(item["columns"]["completion_ids"])
        return (
            0 <= age <= method.max_staleness
            and answers == len(item["keys"]) * method.samples_per_prompt
            and item["keys"].equal(batch.keys.cpu())
        )

    def _items(self, trainer: Trainer) -> list[dict[str, Any]]:
        """Wait for the rollouts that were asked for, and return those that the next step needs, and all after it."""
        if self._queue is None:
            return list(self._restored)  # before the first step, or after an error
        progress: Any = trainer.fit_loop.epoch_loop.batch_progress.current
        unfinished = [self._taken] if self._taken is not None and progress.ready > progress.processed else []
        return [_packed(one) for one in [*unfinished, *self._queue.all()]]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Store the rollouts that were drawn ahead, of each process."""
        items = self._items(trainer)
        of_ranks: list[Any] = [items] * trainer.world_size
        if trainer.world_size > 1:
            distributed.all_gather_object(of_ranks, items)
        checkpoint[KEY] = of_ranks

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take them back; with another number of processes they are drawn anew, as `next` says."""
        of_ranks = checkpoint.get(KEY, [])
        if trainer.training and of_ranks:
            self._restored = list(of_ranks[trainer.global_rank % len(of_ranks)])

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Let go of what the step has learned from."""
        self._taken = None

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the thread."""
        self.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """End the thread, once it has drawn what a checkpoint needs that is written because of the error."""
        if any(_saves_on_exception(one) for one in trainer.checkpoint_callbacks):
            self._restored = self._items(trainer)
        self.close()

    def close(self) -> None:
        """End the thread, if there is one."""
        if self._queue is not None:
            self._queue.close()
        self._queue = self._taken = None


def _saves_on_exception(writer: Callback) -> bool:
    # Lightning's ModelCheckpoint has an option for it, and its OnExceptionCheckpoint does nothing else.
    own = type(writer).on_exception is not Callback.on_exception
    return own and bool(getattr(writer, "save_on_exception", True))


def _packed(drawn: Drawn) -> dict[str, Any]:
    """Return a rollout as tensors, numbers and containers alone, without its prompts: the loader gives those again."""
    rollout = drawn.rollout.to("cpu")
    info, kept = rollout.info, rollout.info.kept
    columns = {field.name: getattr(rollout, field.name) for field in fields(rollout)}
    return {
        "keys": rollout.prompts.keys,
        "step": drawn.step,
        "columns": {name: value for name, value in columns.items() if isinstance(value, Tensor)},
        "info": {name: getattr(info, name) for name in _INFO},
        "facts": dict(info.facts),
        "kept": None if kept is None else {"ids": kept.ids, "counts": kept.counts},
    }


def _unpacked(item: Mapping[str, Any], prompts: PromptBatch) -> Drawn:
    kept = None if item["kept"] is None else KeptSets(**item["kept"])
    info = SamplerInfo(**item["info"], facts=item["facts"], kept=kept)
    device = prompts.prompt_ids.device
    return Drawn(Rollout(prompts=prompts, info=info, **item["columns"]).to(device), item["step"])
