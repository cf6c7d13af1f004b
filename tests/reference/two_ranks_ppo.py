"""PPO on one process or on one of two; rank zero writes what was learned to a file.

Run as `python two_ranks_ppo.py <output.pt>`, once per rank, with WORLD_SIZE, NODE_RANK, LOCAL_RANK, MASTER_ADDR set.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything

sys.path.insert(0, str(Path(__file__).parents[1]))

from recorder import Recorder

from qstar_pl.data import RLHFDataModule, TinyWorld
from qstar_pl.methods import PPO
from qstar_pl.methods.strategies.kl_controller import AdaptiveKL
from qstar_pl.models import FromConfig
from qstar_pl.rewards import GoldReward
from qstar_pl.samplers import PolicySampler
from qstar_pl.targets import Expert


class SumOfTokens(GoldReward):
    """A reward that random answers differ in."""

    def score(self, rollout: Any, completions: Any) -> torch.Tensor:
        return torch.where(rollout.completion_mask, rollout.completion_ids % 7, 0).sum(-1) / 10


def small(seed: int) -> FromConfig:
    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 256, "vocab_size": 640}
    return FromConfig(model_type="gpt2", overrides=sizes, seed=seed)


def learn(batch_size: int, micro_batch_size: int, **options: Any) -> dict[str, Any]:
    """Take three rollouts of 8 prompts in all, and return what was learned."""
    seed_everything(0, verbose=False)
    module = PPO(
        policy=small(1),
        target=Expert(small(2)),
        reward=SumOfTokens(),
        gold=None,
        sampler=PolicySampler(max_new_tokens=8),
        samples_per_prompt=3,
        micro_batch_size=micro_batch_size,
        kl_controller=AdaptiveKL(target=1e-3, horizon=100),
        entropy_coefficient=0.1,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.3),
    )
    data = RLHFDataModule(path="tiny", adapter=TinyWorld(size=40), batch_size=batch_size, val_fraction=0.2)
    recorder = Recorder()
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        limit_val_batches=0,
        max_steps=6,
        callbacks=[recorder],
        **options,
    )
    trainer.fit(module, data)
    return {
        "weights": torch.cat([p.detach().flatten() for p in module.parameters() if p.requires_grad]),
        "kl_coefficient": module.kl_coefficient,
        "answers": [report.samples for report in recorder.reports],
    }


def main() -> None:
    # The ranks meet in a file: a port that was free a moment ago may not be so any more. Lightning uses the group.
    rank, output = int(os.environ["LOCAL_RANK"]), Path(sys.argv[1])
    torch.distributed.init_process_group("gloo", (output.parent / "meeting").as_uri(), rank=rank, world_size=2)
    learned = learn(batch_size=4, micro_batch_size=5, strategy="ddp", devices=2)
    if rank == 0:
        torch.save(learned, output)


if __name__ == "__main__":
    main()
