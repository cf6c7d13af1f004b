"""Methods at the smallest size that still runs every line: one-layer models, a few prompts, a reward that is a sum."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from reference.toy_training import Memory
from torch.nn.functional import pad

from qstar_pl.callbacks import default_diagnostics
from qstar_pl.data import RLHFDataModule, TinyWorld
from qstar_pl.models import FromConfig
from qstar_pl.rewards import GoldReward
from qstar_pl.types import DemonstrationBatch, PreferenceBatch, PromptBatch


@dataclass(frozen=True)
class EndingModel(FromConfig):
    """Random weights that end about one answer in twelve at every token, so that answers differ in length."""

    def load(self):
        model = super().load()
        end = model.transformer.wte.weight.detach()[self.tokenizer().eos_token_id]
        with torch.no_grad():
            model.transformer.ln_f.bias.copy_(4 * end / end.square().sum())  # adds 4 to EOS's logit, little to others
        return model


SIZES = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 256, "vocab_size": 640}


def small_model(seed: int) -> FromConfig:
    """Return a one-layer GPT-2 with random weights and the tiny world's vocabulary."""
    return FromConfig(model_type="gpt2", overrides=SIZES, seed=seed)


def ending_model(seed: int) -> FromConfig:
    """Return the same whose answers end early now and then."""
    return EndingModel(model_type="gpt2", overrides=SIZES, seed=seed)


class LengthReward(GoldReward):
    """A sum over the answer's tokens: random models never give a good answer, but answers that differ in this."""

    def score(self, rollout, completions):
        ids = torch.where(rollout.completion_mask, rollout.completion_ids, 0)
        return (ids.float() % 7).sum(-1) / 10


class TinyData(RLHFDataModule):
    """Forty rows of the tiny world; every batch may get more pads, of an id that means something elsewhere."""

    def __init__(self, *, pads: int = 0, **options: Any) -> None:
        options = {"batch_size": 8, "val_fraction": 0.2, "test_fraction": 0.1, **options}
        super().__init__(path="tiny", adapter=TinyWorld(size=40), **options)
        self.pads = pads

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return padded(batch, self.pads) if self.pads else batch


def padded(batch: Any, pads: int, token: int = 3) -> Any:
    """Return a batch with more pads: before prompts, behind answers."""
    match batch:
        case PromptBatch():
            left = (pads, 0)
            ids, mask = pad(batch.prompt_ids, left, value=token), pad(batch.prompt_mask, left, value=False)
            return replace(batch, prompt_ids=ids, prompt_mask=mask)
        case DemonstrationBatch():
            sides = ("completion",)
        case PreferenceBatch():
            sides = ("chosen", "rejected")
    longer: dict[str, Any] = {"prompts": padded(batch.prompts, pads, token)}
    for side in sides:
        longer[f"{side}_ids"] = pad(getattr(batch, f"{side}_ids"), (0, pads), value=token)
        longer[f"{side}_mask"] = pad(getattr(batch, f"{side}_mask"), (0, pads), value=False)
    return replace(batch, **longer)


def run(
    module: Any, data: RLHFDataModule, *, more_callbacks: Any = (), ckpt_path: str | None = None, **options: Any
) -> tuple[LightningModule, dict[str, float]]:
    """Train with all diagnostics; return the module and what was logged last under each key."""
    seed_everything(0, verbose=False)
    logger = Memory()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator="cpu",
            logger=logger,
            callbacks=[*default_diagnostics(), *more_callbacks],
            log_every_n_steps=1,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            default_root_dir=folder,
            **{"limit_val_batches": 0, **options},
        )
        trainer.fit(module, data, ckpt_path=ckpt_path)
    metrics: dict[str, float] = {}
    for _, logged in logger.calls:
        metrics.update(logged)
    return module, metrics
