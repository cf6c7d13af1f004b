"""Schedules that follow the length of the run, through the trainer, and through a resume."""

import math

import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from reference.tiny_methods import LengthReward, TinyData, small_model

from qstar_pl.errors import UserError
from qstar_pl.methods import PPO, SFT
from qstar_pl.optim import CosineWithWarmup, LinearWithWarmup
from qstar_pl.samplers import PolicySampler


class Rates(Callback):
    def __init__(self):
        self.taken = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.taken.append(optimizer.param_groups[0]["lr"])


def train(schedule=CosineWithWarmup, *, method=SFT, of=None, ckpt=None, **options):
    seed_everything(0, verbose=False)
    module = method(
        policy=small_model(1),
        gold=None,
        optimizer=lambda p: torch.optim.AdamW(p, lr=1e-2),
        lr_scheduler=schedule,
        **{"reward": None, **(of or {})},
    )
    rates = Rates()
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[rates],
        **{"limit_val_batches": 0, **options},
    )
    trainer.fit(module, TinyData(batch_size=2), ckpt_path=ckpt)
    return trainer, rates.taken


def cosine(step, total):
    return pytest.approx(1e-2 * (1 + math.cos(math.pi * step / total)) / 2)


def same_weights(one, other):
    pairs = zip(one.lightning_module.parameters(), other.lightning_module.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_the_length_is_that_of_max_steps():
    assert train(max_steps=4)[1] == [cosine(step, 4) for step in range(4)]


@pytest.mark.parametrize("limits", [{"max_steps": 6}, {"max_epochs": 2, "limit_train_batches": 6}])
def test_a_run_that_goes_on_is_the_run_that_was_not_interrupted(limits, tmp_path):
    """Also by epochs: to count their batches moves no position."""
    options = {**limits, "accumulate_grad_batches": 2 if "max_epochs" in limits else 1}
    whole, rates = train(**options)
    assert rates == [cosine(step, 6) for step in range(6)]

    class Stop(Callback):
        def on_train_batch_end(self, trainer, *_):
            if trainer.global_step == 4:
                trainer.save_checkpoint(tmp_path / "part.ckpt")
                trainer.should_stop = True

    seed_everything(0, verbose=False)
    module = SFT(policy=small_model(1), gold=None, reward=None, lr_scheduler=CosineWithWarmup)
    module.optimizer = lambda p: torch.optim.AdamW(p, lr=1e-2)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(accelerator="cpu", callbacks=[Stop()], limit_val_batches=0, **quiet, **options)
    trainer.fit(module, TinyData(batch_size=2))
    again, rest = train(ckpt=tmp_path / "part.ckpt", **options)
    assert rest == rates[4:]
    assert same_weights(whole, again)


def test_a_longer_run_goes_on_along_the_schedule_of_its_new_length(tmp_path):
    first, rates = train(max_steps=3)
    assert rates == [cosine(step, 3) for step in range(3)]
    first.save_checkpoint(tmp_path / "end.ckpt")
    assert train(ckpt=tmp_path / "end.ckpt", max_steps=6)[1] == [cosine(step, 6) for step in range(3, 6)]


def test_several_steps_to_a_batch_are_counted():
    of = {
        "reward": LengthReward(),
        "sampler": PolicySampler(max_new_tokens=2),
        "samples_per_prompt": 2,
        "epochs": 2,
        "minibatches": 2,
    }
    line = lambda o: LinearWithWarmup(o)  # noqa: E731
    _, rates = train(line, method=PPO, of=of, max_epochs=1, limit_train_batches=2)
    assert rates == pytest.approx([1e-2 * (1 - step / 8) for step in range(8)])


def test_time_alone_is_no_length():
    with pytest.raises(UserError, match="total_steps must be given where neither"):
        train(max_time={"minutes": 1}, max_epochs=-1)
