"""Rebuilds the embedded models from nothing but the project's own code and seeds.

Five models are trained with the project's own methods on the tiny world's own text:

- policy: a small GPT-2, by `SFT`, finally on answers of which only some are good, so that it can still improve;
- expert: a larger one, by `SFT` on good answers only;
- expert_weaker, expert_equal: smaller ones that the expert's first course was cut short for, so that they write as well
  but know less: worse than the policy, and as good;
- reward: the expert's backbone, by `RewardModeling` on comparisons: a fallible proxy of the gold reward.
"""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from transformers import PreTrainedModel

from qstar_pl.data import RLHFDataModule, TinyWorld
from qstar_pl.files import open_weights
from qstar_pl.methods import SFT, RewardModeling
from qstar_pl.models import FromConfig, ModelSource, Pretrained
from qstar_pl.tiny_world.tokenizer import VOCAB_SIZE

Task = Literal["dialogue", "summary", "code"]


@dataclass(frozen=True)
class Course:
    """One stage of supervised training."""

    tasks: tuple[Task, ...]
    quality: float
    """Share of good answers among the demonstrations."""
    steps: int
    learning_rate: float


@dataclass(frozen=True)
class Recipe:
    """How one of the language models is made."""

    embedding: int
    layers: int
    courses: tuple[Course, ...]


TASKS: tuple[Task, ...] = ("dialogue", "summary", "code")
# Dialogues first and alone: a model this small needs some hundred steps to learn to answer about the creature that was
# asked for, and never learns it while two other tasks take most of its batches.
POLICY = Recipe(64, 3, (Course(("dialogue",), 1.0, 1500, 3e-3), Course(TASKS, 0.4, 1800, 2e-3)))
EXPERT = Recipe(96, 4, (Course(("dialogue",), 1.0, 1500, 3e-3), Course(TASKS, 1.0, 1500, 1e-3)))
# Between 500 and 900 steps a model of this size learns whom the question is about; it writes well before that.
EXPERT_WEAKER = Recipe(48, 3, (Course(("dialogue",), 1.0, 500, 3e-3),))
EXPERT_EQUAL = Recipe(48, 3, (Course(("dialogue",), 1.0, 900, 3e-3),))
LANGUAGE_MODELS: Mapping[str, Recipe] = {
    "policy": POLICY,
    "expert": EXPERT,
    "expert_weaker": EXPERT_WEAKER,
    "expert_equal": EXPERT_EQUAL,
}
REWARD_STEPS = 800
BATCH_SIZE = 32
SIZE = 12_000


def architecture(recipe: Recipe) -> FromConfig:
    """Return the GPT-2 of a recipe, with random weights."""
    return FromConfig(
        model_type="gpt2",
        overrides={
            "n_embd": recipe.embedding,
            "n_layer": recipe.layers,
            "n_head": 4,
            "n_positions": 256,
            "vocab_size": VOCAB_SIZE,
        },
        tokenizer_name="tiny",
    )


def fit(module: LightningModule, adapter: TinyWorld, steps: int) -> None:
    """Train `module` for a fixed number of steps, with nothing written to disk."""
    data = RLHFDataModule(path="tiny", adapter=adapter, tokenizer="tiny", batch_size=BATCH_SIZE, seed=0)
    trainer = Trainer(
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        limit_val_batches=0,
        gradient_clip_val=1.0,
    )
    trainer.fit(module, datamodule=data)


def one_cycle(learning_rate: float, steps: int) -> tuple[OptimizerCallable, LRSchedulerCallable]:
    """Return (optimizer, schedule) factories: AdamW, warmup over 5% of the steps, then cosine to almost zero."""
    return (
        lambda parameters: torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=0.01),
        lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=learning_rate, total_steps=steps + 1, pct_start=0.05
        ),
    )


def save(model: PreTrainedModel, folder: Path) -> None:
    """Write a Hugging Face folder in half precision, since the shipped assets must stay small."""
    shutil.rmtree(folder, ignore_errors=True)
    model.half().save_pretrained(folder)
    open_weights(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)


def train_language_model(recipe: Recipe, folder: Path) -> None:
    """Train one language model on demonstrations, course after course, and write it."""
    source: ModelSource = architecture(recipe)
    with tempfile.TemporaryDirectory() as work:
        for course in recipe.courses:
            seed_everything(0)  # so that a course gives the same whatever was drawn before it
            optimizer, schedule = one_cycle(course.learning_rate, course.steps)
            module = SFT(policy=source, reward=None, gold=None, optimizer=optimizer, lr_scheduler=schedule)
            fit(module, TinyWorld(tasks=course.tasks, size=SIZE, quality=course.quality), course.steps)
            module.policy.save_pretrained(work)
            module.tokenizer.save_pretrained(work)
            source = Pretrained(work)
    save(module.policy, folder)


def train_reward(folder: Path) -> None:
    """Train the proxy reward on comparisons, from the expert's backbone, which knows the facts, and write it."""
    seed_everything(0)
    optimizer, schedule = one_cycle(1e-3, REWARD_STEPS)
    module = RewardModeling(model=Pretrained("tiny/expert"), optimizer=optimizer, lr_scheduler=schedule)
    fit(module, TinyWorld(tasks=TASKS, size=SIZE), REWARD_STEPS)
    save(module.model.model, folder)
