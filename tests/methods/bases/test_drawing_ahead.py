"""Answers drawn for the steps that come, by weights that are some steps old."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import OnExceptionCheckpoint
from reference.tiny_methods import small_model

from qstar_pl.callbacks import LaggedReference, MetricsListener, MismatchDiagnostic
from qstar_pl.errors import UserError
from qstar_pl.methods import PPO, QStar
from qstar_pl.models import LanguageModel, LoRA, PolicyBase
from qstar_pl.models.adapters_off import AdaptersOff
from qstar_pl.models.reference import OwnCopy
from qstar_pl.qstar.weights import RawWeights
from qstar_pl.samplers import EngineSampler, GeometricSampler
from qstar_pl.samplers.engines import LocalEngine
from qstar_pl.targets import Expert
from qstar_pl.types import Rollout

Fit = Callable[..., Trainer]


class Record(Callback):
    """Keeps what every step learned from, and the policy's weights before it."""

    def __init__(self) -> None:
        self.rollouts: list[Rollout] = []
        self.log_weights: list[torch.Tensor] = []
        self.weights: list[dict[str, torch.Tensor]] = []

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
        self.weights.append({name: p.detach().clone() for name, p in pl_module.policy.named_parameters()})

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        weighted = outputs["report"].weighted
        self.rollouts.append(weighted.scored.rollout)
        self.log_weights.append(weighted.log_weights)

    @property
    def staleness(self) -> list[int | None]:
        return [one.info.staleness_steps for one in self.rollouts]


def run(fit: Fit, data: Any, options: dict[str, Any], method: Any = QStar, **trainer: Any) -> tuple[Record, Any]:
    record, module = Record(), method(**options)
    callbacks = [record, *trainer.pop("callbacks", [])]
    fit(module, data(batch_size=4), callbacks=callbacks, **{"max_steps": 5, **trainer})
    assert not [one for one in threading.enumerate() if one.name.startswith("rollouts")]
    return record, module


def same(one: Rollout, other: Rollout) -> bool:
    return torch.equal(one.completion_ids, other.completion_ids) and torch.equal(
        one.behavior_logprobs, other.behavior_logprobs
    )


def alike(one: Rollout, other: Rollout) -> bool:
    """Two models of equal weights may sum in another order: equal texts, log-probabilities up to rounding."""
    return torch.equal(one.completion_ids, other.completion_ids) and torch.allclose(
        one.behavior_logprobs, other.behavior_logprobs, atol=1e-5
    )


def test_the_schedule_says_which_weights_drew_what(fit: Fit, small_data: Any, rollout_options: dict[str, Any]) -> None:
    options = {**rollout_options, "max_staleness": 2, "weights": RawWeights()}
    record, module = run(fit, small_data, options)
    assert record.staleness == [0, 1, 2, 2, 2]
    assert len({tuple(one.prompts.keys.tolist()) for one in record.rollouts}) > 1
    for number, rollout in enumerate(record.rollouts):
        drawer = small_model(1).load()
        drawer.load_state_dict(record.weights[number - record.staleness[number]], strict=False)  # type: ignore[operator]
        again = module.sampler.draw(
            rollout.prompts,
            LanguageModel(drawer, module.tokenizer),
            module.target,
            samples=3,
            seed=number,  # as if the step had drawn its own
        )
        assert alike(again, rollout)
        # Weighed against the policy that learns, and what it makes of the law that drew is known.
        learner = small_model(1).load()
        learner.load_state_dict(record.weights[number], strict=False)
        fresh = module.sampler.rescore(again, LanguageModel(learner, module.tokenizer), module.target)
        torch.testing.assert_close(
            record.log_weights[number], fresh.policy_logprobs - again.behavior_logprobs, atol=1e-5, rtol=0
        )
        mismatch = (rollout.recomputed_logprobs - rollout.behavior_logprobs).abs().max()  # type: ignore[operator]
        assert mismatch < 1e-5 if record.staleness[number] == 0 else mismatch > 1e-4


def test_the_thread_decides_nothing(fit: Fit, small_data: Any, rollout_options: dict[str, Any]) -> None:
    options = {**rollout_options, "max_staleness": 1}
    first, module = run(fit, small_data, options)
    second, other = run(fit, small_data, options)
    assert all(same(*pair) for pair in zip(first.rollouts, second.rollouts, strict=True))
    assert all(torch.equal(*pair) for pair in zip(module.policy.parameters(), other.policy.parameters(), strict=True))


def test_zero_is_the_synchronous_run(fit: Fit, small_data: Any, rollout_options: dict[str, Any]) -> None:
    plain, module = run(fit, small_data, rollout_options, max_steps=2)
    zero, other = run(fit, small_data, {**rollout_options, "max_staleness": 0}, max_steps=2)
    ahead, _ = run(fit, small_data, {**rollout_options, "max_staleness": 1}, max_steps=2)
    assert all(torch.equal(*pair) for pair in zip(module.policy.parameters(), other.policy.parameters(), strict=True))
    assert zero.staleness == [None, None]
    assert alike(plain.rollouts[0], ahead.rollouts[0])  # nothing is old yet
    assert not alike(plain.rollouts[1], ahead.rollouts[1])


@pytest.mark.parametrize("method", [QStar, PPO])
def test_a_resumed_run_learns_from_the_same_answers(
    method: Any, fit: Fit, small_data: Any, rollout_options: dict[str, Any], tmp_path: Any
) -> None:
    extra = {"epochs": 2} if method is PPO else {}
    steps = 2 if method is PPO else 1
    options = {**rollout_options, **extra, "max_staleness": 2 * steps}

    class Save(Callback):
        def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
            if trainer.global_step == 2 * steps:
                trainer.save_checkpoint(tmp_path / "second.ckpt")

    whole, module = run(fit, small_data, options, method, max_steps=5 * steps, callbacks=[Save()])
    resumed, other = run(fit, small_data, options, method, max_steps=5 * steps, ckpt_path=str(tmp_path / "second.ckpt"))
    assert resumed.staleness == whole.staleness[2:]
    assert all(same(*pair) for pair in zip(whole.rollouts[2:], resumed.rollouts, strict=True))
    assert all(torch.equal(*pair) for pair in zip(module.policy.parameters(), other.policy.parameters(), strict=True))


def test_a_checkpoint_of_a_step_that_failed_has_its_answers(
    fit: Fit, small_data: Any, rollout_options: dict[str, Any], tmp_path: Any
) -> None:
    class Fail(Callback):
        def on_before_backward(self, trainer: Trainer, *_: Any) -> None:
            if trainer.global_step == 2:
                raise RuntimeError("disk full")

    options = {**rollout_options, "max_staleness": 2}
    whole, _ = run(fit, small_data, options)
    saving = OnExceptionCheckpoint(tmp_path, "failed")
    with pytest.raises(RuntimeError, match="disk full"):
        run(fit, small_data, options, callbacks=[saving, Fail()], enable_checkpointing=True)
    resumed, _ = run(fit, small_data, options, ckpt_path=str(tmp_path / "failed.ckpt"))
    assert resumed.staleness == whole.staleness[2:]
    assert all(same(*pair) for pair in zip(whole.rollouts[2:], resumed.rollouts, strict=True))


@pytest.mark.parametrize("changed", [{"max_staleness": 1}, {"samples_per_prompt": 2}])
def test_rollouts_that_are_too_old_or_of_another_size_are_drawn_anew(
    changed: dict[str, int], fit: Fit, small_data: Any, rollout_options: dict[str, Any], tmp_path: Any
) -> None:
    class Save(Callback):
        def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
            if trainer.global_step == 3:
                trainer.save_checkpoint(tmp_path / "third.ckpt")

    options = {**rollout_options, "max_staleness": 2}
    run(fit, small_data, options, max_steps=3, callbacks=[Save()])
    with pytest.warns(UserWarning, match="another samples_per_prompt or max_staleness"):
        record, _ = run(fit, small_data, {**options, **changed}, max_steps=4, ckpt_path=str(tmp_path / "third.ckpt"))
    assert record.staleness == [0]
    assert len(record.rollouts[0]) == 4 * changed.get("samples_per_prompt", 3)


def test_rollouts_of_other_prompts_are_drawn_anew_with_one_line(
    fit: Fit, small_data: Any, rollout_options: dict[str, Any], tmp_path: Any
) -> None:
    options = {**rollout_options, "max_staleness": 1}

    class Save(Callback):
        def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: Any) -> None:
            if trainer.global_step == 1:
                for one in pl_module.ahead._queue._waiting:
                    one.result()
                trainer.save_checkpoint(tmp_path / "first.ckpt")

    run(fit, small_data, options, max_steps=2, callbacks=[Save()])
    path = tmp_path / "first.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    for item in checkpoint["qstar_rollouts_ahead"][0]:
        item["keys"] = item["keys"] + 1
    torch.save(checkpoint, path)
    with pytest.warns(UserWarning, match="drawn ahead for other prompts"):
        record, _ = run(fit, small_data, options, max_steps=3, ckpt_path=str(path))
    assert record.staleness == [0, 1]


def test_what_two_threads_cannot_share_is_refused(fit: Fit, small_data: Any, rollout_options: dict[str, Any]) -> None:
    options = {**rollout_options, "max_staleness": 1, "reference": OwnCopy()}
    with pytest.raises(UserError, match=r"^max_staleness must be 0 where a callback moves π_init, got 1$"):
        run(fit, small_data, options, callbacks=[LaggedReference()])
    with pytest.raises(UserError, match=r"^trainer.precision must be 32-true or mixed where max_staleness is 1"):
        run(fit, small_data, options, precision="bf16-true")
    with pytest.raises(UserError, match=r"^sampler.top_k and sampler.top_p must be null where max_staleness is 1"):
        run(fit, small_data, {**options, "sampler": GeometricSampler(top_k=5)})
    with pytest.raises(UserError, match=r"^max_staleness must be 0 or at least the 4 optimizer steps of a batch"):
        run(fit, small_data, {**options, "epochs": 4}, PPO)


def test_weights_that_train_are_not_read_by_a_second_thread(
    fit: Fit, small_data: Any, rollout_options: dict[str, Any]
) -> None:
    pytest.importorskip("peft", reason="peft is part of the extra lora")
    options = {**rollout_options, "policy": LoRA(small_model(1), rank=2), "max_staleness": 1, "reference": OwnCopy()}
    with pytest.raises(UserError, match=r"^max_staleness must be 0 where π_t is read from .* own weights"):
        run(fit, small_data, {**options, "target": Expert(PolicyBase())})
    # The same weights, not asked for by that name, are loaded once more.
    module = QStar(**{**options, "target": Expert(small_model(1))})
    module.build_models()
    assert not isinstance(module.target.expert, AdaptersOff)


def test_an_error_ends_the_thread(fit: Fit, small_data: Any, rollout_options: dict[str, Any]) -> None:
    class Fail(Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        run(fit, small_data, {**rollout_options, "max_staleness": 1}, callbacks=[Fail()])
    assert not [one for one in threading.enumerate() if one.name.startswith("rollouts")]


@pytest.mark.parametrize("top_k", [None, 20])
def test_an_engine_may_draw_ahead(
    top_k: int | None, fit: Fit, small_data: Any, rollout_options: dict[str, Any]
) -> None:
    sampler = EngineSampler(engine=LocalEngine(precision="bfloat16"), max_new_tokens=8, top_k=top_k)
    diagnostic = MismatchDiagnostic()
    options = {**rollout_options, "sampler": sampler, "max_staleness": 1}
    logged: list[dict[str, float]] = []

    class Listen(Callback, MetricsListener):
        def on_metrics(self, trainer: Trainer, pl_module: Any, metrics: Any, step: int) -> None:
            logged.append(dict(metrics))

    record, _ = run(fit, small_data, options, max_steps=3, callbacks=[diagnostic, Listen()], log_every_n_steps=1)
    assert record.staleness == [0, 1, 1]
    # What the engine says of its weights is as old as they are, whatever step the trainer is at meanwhile.
    assert [one.info.engine.step for one in record.rollouts] == [0, 0, 1]  # type: ignore[union-attr]
    assert [metrics["rollout/staleness_steps"] for metrics in logged] == [0, 1, 1]
    # Of bfloat16 at first, then of a step's age too.
    assert 1e-4 < logged[0]["mismatch/logprob_mean"] < 0.1
    assert logged[1]["mismatch/logprob_mean"] > logged[0]["mismatch/logprob_mean"]
    assert all(metrics["mismatch/logprob_max"] < 1 for metrics in logged)
