"""What all diagnostics together cost: the same training with and without them, in turns.

Run as `python benchmarks/diagnostics.py [--repeats 5]`, or `just bench diagnostics`. Prints the median time of a step
of q* with every diagnostic, logged at every step (the dearest setting), over that without any, for GPT-2 124M (random
weights) and for the tiny world's policy, with and without gradient accumulation.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger

from qstar_pl.callbacks import default_diagnostics
from qstar_pl.data import RLHFDataModule
from qstar_pl.methods import QStar
from qstar_pl.models import FromConfig, ModelSource, Pretrained
from qstar_pl.rewards import GoldReward
from qstar_pl.samplers import GeometricSampler
from qstar_pl.targets import Expert

STEPS = 6


class Clock(Callback):
    """Keeps the time of every optimiser step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_batch_start(self, *_: Any) -> None:
        self.last = getattr(self, "last", None) or time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step > len(self.seconds):
            now = time.perf_counter()
            self.seconds.append(now - self.last)
            self.last = now


def step_seconds(policy: ModelSource, target: ModelSource, accumulate: int, diagnostics: bool) -> float:
    """Return the median time of a step, the first one left out."""
    seed_everything(0, verbose=False)
    module = QStar(
        policy=policy,
        target=Expert(target),
        reward=GoldReward(),
        gold=None,
        sampler=GeometricSampler(max_new_tokens=24),
        samples_per_prompt=4,
    )
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator="cpu",
            max_steps=STEPS,
            accumulate_grad_batches=accumulate,
            log_every_n_steps=1,
            limit_val_batches=0,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            default_root_dir=folder,
            logger=CSVLogger(folder) if diagnostics else False,
            callbacks=[*(default_diagnostics() if diagnostics else []), clock],
        )
        trainer.fit(module, RLHFDataModule(batch_size=4))
    return statistics.median(clock.seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    warnings.simplefilter("ignore")
    gpt2 = FromConfig(seed=1), FromConfig(seed=2)
    tiny = Pretrained("tiny/policy"), Pretrained("tiny/expert")
    print(f"threads: {torch.get_num_threads()}")
    print(f"{'models':20}{'accumulated':>12}{'without, s':>12}{'with, s':>10}{'ratio':>8}")
    for name, models in (("GPT-2 124M", gpt2), ("tiny", tiny)):
        for accumulate in (1, 2):
            pairs = [
                [step_seconds(models[0], models[1], accumulate, on) for on in (False, True)] for _ in range(repeats)
            ]
            without, with_all = (statistics.median(column) for column in zip(*pairs, strict=True))
            ratio = statistics.median(b / a for a, b in pairs)
            print(f"{name:20}{accumulate:>12}{without:>12.3f}{with_all:>10.3f}{ratio:>8.3f}", flush=True)


if __name__ == "__main__":
    main()
