"""A run that goes on under other options, beside one in which the very numbers are put into the optimizer by hand."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.cli import ReduceLROnPlateau
from reference.tiny_methods import TinyData, small_model
from torch.optim import SGD, Adam, AdamW, RMSprop
from torch.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    OneCycleLR,
    SequentialLR,
    StepLR,
)

from qstar_pl.checkpoints.optimizer_options import check_options
from qstar_pl.errors import UserError
from qstar_pl.methods import DPO, LEDPO, SFT
from qstar_pl.optim import Lion
from qstar_pl.optim.schedules import CosineWithWarmup, LinearWithWarmup

HALF, WHOLE = 3, 6


def train(
    steps: int, optimizer: Any, schedule: Any = None, *, method: Any = SFT, ckpt: Any = None, **options: Any
) -> Trainer:
    """Train for `steps` in all; return the trainer, whose module holds the weights."""
    seed_everything(0, verbose=False)
    module = method(
        policy=small_model(1),
        reward=None,
        gold=None,
        optimizer=optimizer,
        lr_scheduler=schedule,
        **options.pop("of", {}),
    )
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"limit_val_batches": 0, **options},
    )
    trainer.fit(module, TinyData(batch_size=2), ckpt_path=ckpt)
    return trainer


class ByHand(Callback):
    """Puts options into the optimizer from step HALF on, and a rate that is a formula of the step."""

    def __init__(self, rate: Callable[[int], float], **options: float) -> None:
        self.rate, self.options = rate, options

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step >= HALF:
            for group in trainer.optimizers[0].param_groups:
                group.update(self.options, lr=self.rate(trainer.global_step))


def weights(trainer: Trainer) -> list[torch.Tensor]:
    return [parameter.detach() for parameter in trainer.lightning_module.policy.parameters()]


def assert_equal(one: Trainer, other: Trainer, tolerance: float = 0.0) -> None:
    for a, b in zip(weights(one), weights(other), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


def saved(trainer: Trainer, folder: Path) -> str:
    path = str(folder / "half.ckpt")
    trainer.save_checkpoint(path)
    return path


def cosine(rate: float, total: int) -> Callable[[int], float]:
    return lambda step: rate * (1 + math.cos(math.pi * min(step / total, 1))) / 2


@pytest.mark.parametrize(
    ("before", "after", "rate", "options"),
    [
        ((AdamW, {}, None), (AdamW, {}, None), lambda step: 1e-4, {"weight_decay": 0.5}),
        ((SGD, {"momentum": 0.9}, None), (SGD, {"momentum": 0.5}, None), lambda step: 1e-4, {"momentum": 0.5}),
        ((AdamW, {}, partial(CosineWithWarmup, total_steps=4)),) * 2 + (None, {}),
        (
            (AdamW, {}, partial(CosineWithWarmup, total_steps=4)),
            (AdamW, {}, partial(CosineWithWarmup, total_steps=40)),
            cosine(1e-4, 40),
            {},
        ),
        (
            (AdamW, {}, partial(CosineAnnealingLR, T_max=4)),
            (AdamW, {}, partial(CosineAnnealingLR, T_max=40)),
            cosine(1e-4, 40),
            {},
        ),
        ((AdamW, {}, None), (AdamW, {}, partial(StepLR, step_size=2, gamma=0.1)), lambda s: 1e-4 * 0.1 ** (s // 2), {}),
        ((AdamW, {}, partial(LinearWithWarmup, total_steps=9)), (AdamW, {}, None), lambda step: 1e-4, {}),
    ],
    ids=["weight decay", "momentum", "nothing", "longer", "longer recursion", "schedule added", "schedule taken away"],
)
def test_the_options_given_now_hold_from_here_on(
    before: Any, after: Any, rate: Any, options: dict[str, float], tmp_path: Path
) -> None:
    first, second = (partial(cls, lr=lr, **more) for (cls, more, _), lr in ((before, 1e-2), (after, 1e-4)))
    if rate is None:  # nothing is changed
        second = first
    path = saved(train(HALF, first, before[2]), tmp_path)
    resumed = train(
        WHOLE, partial(second, **{k: v for k, v in options.items() if k != "momentum"}), after[2], ckpt=path
    )
    by_hand = [] if rate is None else [ByHand(rate, **options)]
    whole = train(WHOLE, first, before[2], callbacks=by_hand)
    # The recursion of CosineAnnealingLR and its formula differ in the last bits of a rate.
    assert_equal(resumed, whole, tolerance=0.0 if rate is None else 1e-9)
    group = resumed.optimizers[0].param_groups[0]
    assert all(group[name] == value for name, value in options.items())


@pytest.mark.parametrize(
    "schedule",
    [
        partial(ExponentialLR, gamma=0.9),
        partial(OneCycleLR, max_lr=1e-2, total_steps=9),
        partial(CosineAnnealingWarmRestarts, T_0=2),
        lambda optimizer: ChainedScheduler([ConstantLR(optimizer), ExponentialLR(optimizer, 0.8)]),
        lambda optimizer: SequentialLR(optimizer, [ConstantLR(optimizer), ExponentialLR(optimizer, 0.8)], [2]),
    ],
)
def test_any_schedule_goes_on_as_if_it_had_not_stopped(schedule: Any, tmp_path: Path) -> None:
    optimizer = partial(AdamW, lr=1e-3)
    resumed = train(WHOLE, optimizer, schedule, ckpt=saved(train(HALF, optimizer, schedule), tmp_path))
    whole = train(WHOLE, optimizer, schedule)
    assert_equal(resumed, whole)
    assert resumed.optimizers[0].param_groups[0]["lr"] == whole.optimizers[0].param_groups[0]["lr"]


def test_every_group_has_its_own_options(tmp_path: Path) -> None:
    schedule = partial(LinearWithWarmup, total_steps=10)
    path = saved(train(HALF, partial(AdamW, lr=1e-3), schedule, method=LEDPO), tmp_path)
    resumed = train(HALF + 1, partial(AdamW, lr=1e-4), schedule, method=LEDPO, of={"beta_lr": 5e-3}, ckpt=path)
    left = 1 - (HALF + 1) / 10
    rates = {group["name"]: group["lr"] for group in resumed.optimizers[0].param_groups}
    assert rates == pytest.approx({"policy": 1e-4 * left, "beta": 5e-3 * left})


class Steady(AdamW):
    """Counts in its group how often it stepped, as schedule-free optimizers do."""

    def __init__(self, params: Any, lr: float = 1e-3) -> None:
        super().__init__(params, lr=lr)
        for group in self.param_groups:
            group["k"] = 0

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            group["k"] += 1
        return super().step(closure)


def test_what_an_optimizer_counts_by_itself_is_state(tmp_path: Path) -> None:
    resumed = train(WHOLE, partial(Steady, lr=1e-4), ckpt=saved(train(HALF, partial(Steady, lr=1e-3)), tmp_path))
    group = resumed.optimizers[0].param_groups[0]
    assert (group["k"], group["lr"]) == (WHOLE, 1e-4)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (partial(AdamW, lr=1e-3), partial(SGD, lr=1e-3), "optimizer must be AdamW, whose state the checkpoint holds"),
        (partial(Adam, lr=1e-3), partial(Adam, lr=1e-3, amsgrad=True), r"\(max_exp_avg_sq\).*cannot be switched on"),
        (partial(RMSprop, lr=1e-3), partial(RMSprop, lr=1e-3, centered=True), r"\(grad_avg\)"),
    ],
)
def test_what_cannot_change_is_refused(first: Any, second: Any, message: str, tmp_path: Path) -> None:
    path = saved(train(HALF, first), tmp_path)
    with pytest.raises(UserError, match=message):
        train(WHOLE, second, ckpt=path)


def test_other_groups_are_refused(tmp_path: Path) -> None:
    class Halves(SFT):
        def parameter_groups(self) -> list[Any]:
            parameters = list(self.policy.parameters())
            return [{"params": parameters[:2]}, {"params": parameters[2:]}]

    path = saved(train(HALF, partial(AdamW, lr=1e-3)), tmp_path)
    with pytest.raises(UserError, match=r"got groups of \[\d+\] parameters for groups of \[2, "):
        train(WHOLE, partial(AdamW, lr=1e-3), method=Halves, ckpt=path)


def test_a_schedule_that_is_over_is_refused(tmp_path: Path) -> None:
    cycle = partial(OneCycleLR, max_lr=1e-2)
    path = saved(train(HALF, partial(AdamW, lr=1e-3), partial(cycle, total_steps=9)), tmp_path)
    with pytest.raises(UserError, match="lr_scheduler must go beyond step 3"):
        train(WHOLE, partial(AdamW, lr=1e-3), partial(cycle, total_steps=2), ckpt=path)


VALIDATING = {"limit_val_batches": 1, "val_check_interval": 1, "check_val_every_n_epoch": None}
VALIDATING |= {"num_sanity_val_steps": 0}


def plateau(**options: Any) -> Any:
    # A threshold that nothing reaches: every second validation is one too many without improvement.
    return partial(ReduceLROnPlateau, monitor="val/preference_accuracy", **{"patience": 1, "threshold": 9.0, **options})


class SaveAt(Callback):
    """Writes a checkpoint at step 4, before its validation, at the validation's end, or after the batch is over."""

    def __init__(self, moment: str, path: Path) -> None:
        self.moment, self.path = moment, str(path)

    def save(self, trainer: Any, moment: str, step: int = 4) -> None:
        if moment == self.moment and trainer.global_step == step:
            trainer.save_checkpoint(self.path)

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        self.save(trainer, "before")

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        self.save(trainer, "at its end")


@pytest.mark.parametrize("moment", ["before", "at its end"])
def test_a_plateau_counts_validations_and_goes_on_counting(moment: str, tmp_path: Path) -> None:
    optimizer, path = partial(SGD, lr=1e-2), tmp_path / "four.ckpt"
    whole = train(WHOLE, optimizer, plateau(), method=DPO, callbacks=[SaveAt(moment, path)], **VALIDATING)
    assert whole.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-2 * 0.1**3)  # at validations 2, 4 and 6
    resumed = train(WHOLE, optimizer, plateau(), method=DPO, ckpt=str(path), **VALIDATING)
    assert_equal(resumed, whole)
    assert resumed.optimizers[0].param_groups[0]["lr"] == whole.optimizers[0].param_groups[0]["lr"]
    other = train(WHOLE, partial(SGD, lr=1e-3), plateau(factor=0.5), method=DPO, ckpt=str(path), **VALIDATING)
    assert other.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-3 * 0.1 * 0.5**2)


def test_a_rate_that_was_zero_can_become_another(tmp_path: Path) -> None:
    path = tmp_path / "four.ckpt"
    train(WHOLE, partial(SGD, lr=0.0), plateau(), method=DPO, callbacks=[SaveAt("before", path)], **VALIDATING)
    resumed = train(WHOLE, partial(SGD, lr=1e-3), plateau(), method=DPO, ckpt=str(path), **VALIDATING)
    assert 0 < resumed.optimizers[0].param_groups[0]["lr"] <= 1e-3


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda p: AdamW(p, lr=-1.0), "Invalid learning rate: -1.0"),
        (lambda p: AdamW(p, lr=math.inf), "learning rate inf"),
        (lambda p: Adam(p, betas=(2.0, 0.9)), "Invalid beta"),
        (lambda p: Lion(p, lr=0.0), "lr must be positive"),
    ],
)
def test_options_out_of_range_are_found_before_there_is_a_model(build: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_options(build)


def test_what_only_the_real_parameters_can_tell_is_left_to_them() -> None:
    def of_matrices(parameters: Any) -> SGD:
        raise ValueError("this optimizer trains vectors")

    check_options(of_matrices)
    check_options(lambda p: AdamW(p, lr=0.0))


def test_a_fit_with_a_bad_rate_reads_nothing() -> None:
    module = SFT(policy=small_model(0), optimizer=lambda p: AdamW(p, lr=-1.0))
    data = TinyData(batch_size=2)
    trainer = Trainer(accelerator="cpu", max_steps=1, logger=False, enable_checkpointing=False)
    with pytest.raises(UserError, match="Invalid learning rate"):
        trainer.fit(module, data)
    assert not hasattr(data, "report")
