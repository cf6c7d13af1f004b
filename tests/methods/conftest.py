"""Methods at the smallest size that still runs every line: one-layer models, sixteen prompts, a reward that is text."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything

from qstar_pl.data import RLHFDataModule, TinyWorld
from qstar_pl.models import FromConfig
from qstar_pl.rewards import GoldReward
from qstar_pl.samplers import GeometricSampler, PolicySampler
from qstar_pl.targets import Expert


def small_model(seed: int) -> FromConfig:
    return FromConfig(
        model_type="gpt2",
        overrides={"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 128, "vocab_size": 640},
        seed=seed,
    )


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


class LengthReward(GoldReward):
    """Tokens of the answer, over ten: random models give different lengths, but never a good answer."""

    def score(self, rollout, completions):
        ids = torch.where(rollout.completion_mask, rollout.completion_ids, 0)
        return (ids.float() % 7).sum(-1) / 10


@pytest.fixture
def small_data() -> Callable[..., RLHFDataModule]:
    def make(**options: Any) -> RLHFDataModule:
        options = {"batch_size": 8, "val_fraction": 0.2, "test_fraction": 0.1, **options}
        return RLHFDataModule(path="tiny", adapter=TinyWorld(size=40), **options)

    return make


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
