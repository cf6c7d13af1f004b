"""The gradient of an optimizer step is the mean over the micro-batches that it has, in every window."""

from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule, Trainer, seed_everything
from reference.tiny_methods import LengthReward, TinyData, run, small_model

from qstar_pl.data import RLHFDataModule, TinyWorld
from qstar_pl.methods import DPO, SFT, QStar, RewardModeling
from qstar_pl.models import LoRA
from qstar_pl.samplers import GeometricSampler
from qstar_pl.targets import Expert


class Gradients(Callback):
    """The flat gradient of every optimizer step, as an optimizer and other callbacks see it."""

    def __init__(self) -> None:
        self.seen: list[torch.Tensor] = []

    def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        self.seen.append(torch.cat([p.grad.flatten() for p in parameters]).clone())


def still(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.0)


def method(name: str) -> Any:
    options = {"policy": small_model(1), "reward": None, "gold": None, "optimizer": still}
    match name:
        case "RewardModeling":
            return RewardModeling(model=small_model(1), optimizer=still)
        case "QStar":
            options |= {"reward": LengthReward(), "target": Expert(small_model(2)), "samples_per_prompt": 2}
            return QStar(sampler=GeometricSampler(max_new_tokens=6), **options)
        case "LoRA":
            return SFT(**options | {"policy": LoRA(small_model(1), rank=2)})
    return {"SFT": SFT, "DPO": DPO}[name](**options)


def rows(count: int) -> RLHFDataModule:
    data = TinyWorld(size=count)
    return RLHFDataModule(adapter=data, batch_size=2, val_fraction=0, test_fraction=0)


def gradients(module: Any, data: LightningDataModule, **options: Any) -> list[torch.Tensor]:
    seed_everything(0, verbose=False)
    callback = Gradients()
    trainer = Trainer(
        accelerator="cpu",
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"max_epochs": 2, "limit_val_batches": 0, **options},
    )
    trainer.fit(module, data)
    return callback.seen


@pytest.mark.parametrize("name", ["SFT", "DPO", "RewardModeling", "QStar", "LoRA"])
def test_the_last_window_of_an_epoch_is_the_mean_over_its_batches(name: str) -> None:
    accumulated = gradients(method(name), rows(10), accumulate_grad_batches=4)
    assert len(accumulated) == 4  # 4 + 1 batches, in two epochs
    if name == "QStar":  # draws by the optimizer step, so a step of one batch is compared in size
        assert 0.2 < accumulated[1].norm() / accumulated[0].norm() < 5
        return
    single = gradients(method(name), rows(10))
    for epoch in (0, 1):
        of_batches = single[5 * epoch : 5 * epoch + 5]
        first, last = accumulated[2 * epoch : 2 * epoch + 2]
        torch.testing.assert_close(first, torch.stack(of_batches[:4]).mean(0), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(last, of_batches[4], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "windows"),
    [
        ({"limit_train_batches": 3, "accumulate_grad_batches": 2}, [(0, 2), (2, 3)]),
        ({"limit_train_batches": 0.6, "accumulate_grad_batches": 8}, [(0, 3)]),
        ({"accumulate_grad_batches": 3}, [(0, 3), (3, 5)]),
        ({"accumulate_grad_batches": 3, "max_steps": 2}, [(0, 3), (3, 5)]),
        ({"accumulate_grad_batches": 3, "gradient_clip_val": 1e9}, [(0, 3), (3, 5)]),
    ],
)
def test_however_an_epoch_ends(options: dict[str, Any], windows: list[tuple[int, int]]) -> None:
    single = gradients(method("SFT"), rows(10), max_epochs=1)
    accumulated = gradients(method("SFT"), rows(10), **{"max_epochs": 1, **options})
    for got, (start, end) in zip(accumulated, windows, strict=True):
        torch.testing.assert_close(got, torch.stack(single[start:end]).mean(0), rtol=1e-4, atol=1e-6)


class Endless(TinyData):
    """Batches from an iterable that does not know its length."""

    def train_dataloader(self) -> Any:
        loader = super().train_dataloader()

        class Stream:
            def __iter__(self) -> Any:
                return iter(loader)

        return Stream()


def test_an_iterable_without_a_length() -> None:
    single = gradients(method("SFT"), Endless(batch_size=5), max_epochs=1)
    accumulated = gradients(method("SFT"), Endless(batch_size=5), max_epochs=1, accumulate_grad_batches=4)
    assert len(single) == 5
    torch.testing.assert_close(accumulated[1], single[4], rtol=1e-4, atol=1e-6)


def test_diagnostics_of_a_short_window_are_those_of_its_batches() -> None:
    # Five batches, four in the first window; in the second, three of seven: rates of 0, so gradients are comparable.
    _, one = run(method("SFT"), rows(10), max_epochs=1, accumulate_grad_batches=4)
    _, alone = run(method("SFT"), rows(10), max_epochs=1)
    for key in ("grad/norm", "loss/total", "loss/nats_per_token"):
        assert one[key] == pytest.approx(alone[key], rel=1e-4), key
    _, short = run(method("SFT"), rows(14), max_epochs=1, accumulate_grad_batches=4)
    single = torch.stack(gradients(method("SFT"), rows(14), max_epochs=1)[4:])
    assert short["grad/norm"] == pytest.approx(single.mean(0).norm().item(), rel=1e-4)
    assert short["grad/variance"] == pytest.approx(single.var(0).sum().item(), rel=1e-3)


class SaveThree(Callback):
    """Writes a checkpoint after three batches."""

    def __init__(self, path: Any) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 2:
            trainer.save_checkpoint(self.path)


def test_a_window_that_a_resumed_run_begins_in_the_middle_of(tmp_path: Any) -> None:
    """Three batches one by one, then windows of four: of the first, one batch is left."""
    path = tmp_path / "three.ckpt"
    _, alone = run(method("SFT"), rows(10), max_epochs=1, more_callbacks=[SaveThree(path)])
    single, callback = gradients(method("SFT"), rows(10), max_epochs=1), Gradients()
    _, metrics = run(
        method("SFT"), rows(10), max_epochs=1, accumulate_grad_batches=4, more_callbacks=[callback], ckpt_path=str(path)
    )
    assert len(callback.seen) == 2
    for got, wanted in zip(callback.seen, single[3:], strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-6)
    for key in ("grad/norm", "loss/total"):
        assert metrics[key] == pytest.approx(alone[key], rel=1e-4), key
