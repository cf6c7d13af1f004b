"""A reference that follows the policy."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from qstar_pl.callbacks import LaggedReference
from qstar_pl.errors import UserError


class Follower(LightningModule):
    """A policy that walks by 1 per step, and whose loss reads the reference."""

    def __init__(self) -> None:
        super().__init__()
        self.policy, self.reference = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        for model in (self.policy, self.reference):
            nn.init.zeros_(model.weight)
        self.policy.register_buffer("count", torch.zeros(()))
        self.reference.register_buffer("count", torch.zeros(()))
        self.reference.requires_grad_(False)
        self.strict_loading = False
        self.seen: list[float] = []

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.policy.count += 1
        self.seen.append(float(self.reference.weight))
        return -self.policy.weight.sum()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("reference", float(self.reference.weight))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.policy.parameters(), lr=1.0)

    def state_dict(self, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        return {k: v for k, v in super().state_dict(**kwargs).items() if not k.startswith("reference")}


def trainer(callback: Callback, steps: int, **options: Any) -> Trainer:
    return Trainer(
        accelerator="cpu",
        max_steps=steps,
        callbacks=[callback],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        **options,
    )


LOADER = torch.utils.data.DataLoader(torch.zeros(100, 1), batch_size=1)


def run(callback: LaggedReference, steps: int, **options: Any) -> Follower:
    module = Follower()
    trainer(callback, steps, **options).fit(module, LOADER)
    return module


def test_every_n_steps_the_reference_is_a_copy() -> None:
    module = run(LaggedReference(every_n_steps=3), 8)
    assert module.seen == [0, 0, 0, 3, 3, 3, 6, 6]
    assert not module.reference.weight.requires_grad
    assert float(module.reference.count) == 6
    assert module.reference.weight is not module.policy.weight


def test_with_decay_it_is_a_moving_average() -> None:
    module = run(LaggedReference(every_n_steps=1, decay=0.5), 4)
    assert module.seen == pytest.approx([0, 0.5, 1.25, 2.125])


@pytest.mark.parametrize(("decay", "seen"), [(0.25, [0, 0.75, 1.6875, 2.671875]), (0.9, [0, 0.1, 0.29, 0.561])])
def test_decay_is_the_share_of_the_old_reference_that_stays(decay: float, seen: list[float]) -> None:
    """The policy is at 1, 2, 3 after its steps; a half would not tell decay from 1 − decay."""
    assert run(LaggedReference(every_n_steps=1, decay=decay), 4).seen == pytest.approx(seen)


def test_accumulation_counts_optimizer_steps() -> None:
    module = run(LaggedReference(every_n_steps=2), 4, accumulate_grad_batches=2)
    assert module.seen == [0, 0, 0, 0, 2, 2, 2, 2]


def test_resuming_continues_the_uninterrupted_run(tmp_path: Path) -> None:
    options = {"every_n_steps": 2, "decay": 0.25}
    whole = run(LaggedReference(**options), 9)
    first = Follower()
    begun = trainer(LaggedReference(**options), 5)
    begun.fit(first, LOADER)
    begun.save_checkpoint(tmp_path / "five.ckpt")
    second = Follower()
    trainer(LaggedReference(**options), 9).fit(second, LOADER, ckpt_path=str(tmp_path / "five.ckpt"))
    assert first.seen + second.seen == whole.seen
    assert torch.equal(second.reference.weight, whole.reference.weight)

    validated = trainer(LaggedReference(**options), 9).validate(
        Follower(), LOADER, ckpt_path=str(tmp_path / "five.ckpt"), verbose=False
    )
    assert validated[0]["reference"] == float(first.reference.weight) != 0


def test_mistakes() -> None:
    with pytest.raises(UserError, match="every_n_steps must be at least 1"):
        LaggedReference(every_n_steps=0)
    with pytest.raises(UserError, match="decay must lie in"):
        LaggedReference(decay=1.0)

    class Alone(Follower):
        def __init__(self) -> None:
            super().__init__()
            del self.reference

    with pytest.raises(UserError, match="Alone has no reference"):
        trainer(LaggedReference(), 1).fit(Alone(), LOADER)
