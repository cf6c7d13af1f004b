"""Methods at the smallest size that still runs every line: one-layer models, sixteen prompts, a reward that is text."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from reference.tiny_methods import LengthReward, TinyData, small_model

from qstar_pl.data import RLHFDataModule
from qstar_pl.rewards import GoldReward
from qstar_pl.samplers import GeometricSampler, PolicySampler
from qstar_pl.targets import Expert


@pytest.fixture
def policy_options() -> dict[str, Any]:
    """Options of any PolicyModule."""
    return {
        "policy": small_model(1),
        "reward": GoldReward(),
        "gold": None,
        "evaluation_sampler": PolicySampler(max_new_tokens=8),
        "optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    }


@pytest.fixture
def rollout_options(policy_options: dict[str, Any]) -> dict[str, Any]:
    """Options of any RolloutModule; the reward of an answer is how long it is, so that answers differ in it."""
    return {
        **policy_options,
        "reward": LengthReward(),
        "target": Expert(small_model(2)),
        "sampler": GeometricSampler(max_new_tokens=8),
        "samples_per_prompt": 3,
    }


@pytest.fixture
def small_data() -> Callable[..., RLHFDataModule]:
    return TinyData


@pytest.fixture
def fit(tmp_path) -> Callable[..., Trainer]:
    def run(module: LightningModule, data: RLHFDataModule, ckpt_path: str | None = None, **options: Any) -> Trainer:
        seed_everything(0, verbose=False)
        trainer = Trainer(
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
            **{"max_steps": 2, "limit_val_batches": 0, "enable_checkpointing": False, **options},
        )
        trainer.fit(module, data, ckpt_path=ckpt_path)
        return trainer

    return run
