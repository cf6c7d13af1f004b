"""One of two processes whose sharded models have unequal work: `python two_ranks_uneven.py <output.json>`.

What one rank reads is more than what the other does; every pass of a model in parts is a meeting of both all the same.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer, seed_everything

sys.path.insert(0, str(Path(__file__).parents[1]))

from reference.every_method import POLICY
from reference.tiny_methods import LengthReward, TinyData, ending_model, padded

from qstar_pl.distributed import FSDP2Strategy
from qstar_pl.evaluation.judges import RewardModelJudge
from qstar_pl.evaluation.metrics import Answers, WinRate
from qstar_pl.evaluation.metrics.baselines import Preferred
from qstar_pl.methods import QStar
from qstar_pl.models import Pretrained
from qstar_pl.rewards import RewardModelReward
from qstar_pl.rollout import absent
from qstar_pl.samplers import GeometricSampler, PolicySampler
from qstar_pl.targets import Expert
from qstar_pl.types import PromptBatch

FIRST = os.environ["LOCAL_RANK"] == "0"


@dataclass(frozen=True)
class OnOneRank(Preferred):
    """Answers that the first rank has nothing to compare with."""

    def texts(self, answers: Answers) -> list[str | None]:
        return [None] * len(answers.texts) if FIRST else super().texts(answers)


class ReadOnce(Callback):
    """Lets the reference read answers; those of one rank are too many columns for a prompt to be read once."""

    shape: tuple[int, ...] = ()

    def on_validation_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, *_: Any) -> None:
        if isinstance(batch, PromptBatch):
            rollout = pl_module.draw(batch)
            if FIRST:
                rollout = replace(rollout, prompts=padded(rollout.prompts, 256))
            self.shape = tuple(pl_module.reference_logprobs(rollout).shape)


def main() -> None:
    output = Path(sys.argv[1])
    rank = int(os.environ["LOCAL_RANK"])
    torch.distributed.init_process_group("gloo", (output.parent / "meeting").as_uri(), rank=rank, world_size=2)
    seed_everything(0, verbose=False)
    # The rows of one rank are read one by one where the model's place is filled that did not decode.
    absent.MAX_ELEMENTS = 1 if FIRST else 2**25
    module = QStar(
        **POLICY,
        reward=LengthReward(),
        target=Expert(ending_model(2)),
        sampler=GeometricSampler(max_new_tokens=8),
        evaluation_sampler=PolicySampler(max_new_tokens=8),
        samples_per_prompt=3,
        metrics=[WinRate(RewardModelJudge(RewardModelReward(Pretrained("tiny/reward"))), baseline=OnOneRank())],
    )
    read = ReadOnce()
    trainer = Trainer(
        accelerator="cpu",
        devices=2,
        strategy=FSDP2Strategy(gathering=sys.argv[2], timeout_s=60.0),
        logger=False,
        callbacks=[read],
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=output.parent,
    )
    metrics: dict[str, float] = {}
    for of_loader in trainer.validate(module, TinyData(batch_size=4), verbose=False):
        metrics |= of_loader
    if FIRST:
        output.write_text(json.dumps({"metrics": metrics, "shape": read.shape}))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
