"""What all diagnostics together cost: their share of the time of every step, taken inside one run.

Run as `python benchmarks/diagnostics.py [--models tiny gpt2]`, or `just bench diagnostics`. Trains q* on GPT-2 124M
(random weights) and on the tiny world's policy with every diagnostic, with and without gradient accumulation, logged at
every step (the dearest setting) and more seldom. A watch runs while a hook of a diagnostic does, and while the rollout
sums the statistics over the vocabulary that they read (divergences and ESS of every token). Printed is the median over
steps of that time beside the rest of the step, and what each part adds to it. Within a step both sides have the same
machine; two runs, one after the other, differ by more than what is measured here.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger
from wide import WideGPT2

from qstar_pl.callbacks import Diagnostic, Diagnostics, default_diagnostics
from qstar_pl.data import RLHFDataModule
from qstar_pl.methods import QStar
from qstar_pl.models import ModelSource, Pretrained
from qstar_pl.rewards import GoldReward
from qstar_pl.rollout.divergence import divergence
from qstar_pl.samplers import GeometricSampler
from qstar_pl.targets import Expert

MODELS: dict[str, tuple[str, ModelSource, ModelSource, int, int]] = {
    "tiny": ("tiny", Pretrained("tiny/policy"), Pretrained("tiny/expert"), 8, 40),
    "gpt2": ("GPT-2 124M", WideGPT2(seed=1), WideGPT2(seed=2), 4, 5),
}
"""Name, policy, target, prompts per batch (four answers each), measured steps."""
SETTINGS = (("tiny", 1, 1), ("tiny", 1, 10), ("tiny", 2, 10), ("gpt2", 1, 1), ("gpt2", 2, 1))
"""Model, micro-steps of a step, steps between two logs."""
WARM_UP = 2


class Watch:
    """Seconds of each part, step by step; a part inside another counts for itself, not for the outer one."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self._parts: defaultdict[str, float] = defaultdict(float)
        self._inside = 0.0

    def watched(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its time taken."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            outside, self._inside = self._inside, 0.0
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                seconds = time.perf_counter() - began
                self._parts[part] += seconds - self._inside
                self._inside = outside + seconds

        return timed

    def end_step(self, seconds: float) -> None:
        """Close the step that took so long."""
        self.steps.append({**self._parts, "step": seconds})
        self._parts.clear()


class Clock(Callback):
    """Takes the time of every optimizer step, from its first batch to the end of what callbacks do after its last."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._began: float | None = None

    def on_train_batch_start(self, *_: Any) -> None:
        if self._began is None:
            self._began = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step > len(self.watch.steps) and self._began is not None:
            self.watch.end_step(time.perf_counter() - self._began)
            self._began = None


def watched_diagnostics(watch: Watch) -> list[Callback]:
    """Return all diagnostics, every hook of theirs watched, and what each adds to a step, and their owner's."""
    diagnostics = default_diagnostics()
    last = max(index for index, callback in enumerate(diagnostics) if isinstance(callback, Diagnostic))
    callbacks = [*diagnostics[: last + 1], Diagnostics(), *diagnostics[last + 1 :]]
    for callback in callbacks:
        names = ["observe", "before_flush", "compute"] if isinstance(callback, Diagnostic) else []
        names += [hook for hook in dir(Callback) if hook.startswith("on_")]
        for name in names:
            if getattr(type(callback), name) is not getattr(Callback, name, None):
                setattr(callback, name, watch.watched(type(callback).__name__, getattr(callback, name)))
    return callbacks


def measure(key: str, accumulate: int, log_every: int) -> list[dict[str, float]]:
    """Train, and return the seconds of every part and of the whole, for each step after the first few."""
    _, policy, target, prompts, steps = MODELS[key]
    seed_everything(0, verbose=False)
    module = QStar(
        policy=policy,
        target=Expert(target),
        reward=GoldReward(),
        gold=None,
        sampler=GeometricSampler(max_new_tokens=24),
        samples_per_prompt=4,
        # So slow that the answers stay as long as they are: a model of random weights would soon end them at once.
        optimizer=lambda p: torch.optim.AdamW(p, lr=1e-8),
    )
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            accelerator="cpu",
            max_steps=steps + WARM_UP,
            accumulate_grad_batches=accumulate,
            log_every_n_steps=log_every,
            limit_val_batches=0,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            default_root_dir=folder,
            logger=CSVLogger(folder),
            callbacks=[*watched_diagnostics(watch), Clock(watch)],
        )
        with patch("qstar_pl.rollout.finish.divergence", watch.watched("over the vocabulary", divergence)):
            trainer.fit(module, RLHFDataModule(batch_size=prompts))
    return watch.steps[WARM_UP:]


def row(name: str, accumulate: int, log_every: int, steps: list[dict[str, float]]) -> str:
    """Return a line of the table; a cost is relative to the step without any diagnostic."""
    rest = [2 * step["step"] - sum(step.values()) for step in steps]
    costs = [step["step"] / bare - 1 for step, bare in zip(steps, rest, strict=True)]
    mean = sum(step["step"] for step in steps) / sum(rest) - 1
    parts = {part for step in steps for part in step} - {"step"}
    shares = {part: sum(step.get(part, 0.0) for step in steps) / sum(rest) for part in parts}
    dearest = ", ".join(f"{part} {shares[part]:.2%}" for part in sorted(parts, key=shares.__getitem__)[:-4:-1])
    line = f"{name:12}{accumulate:>12}{log_every:>14}{statistics.median(rest):>12.3f}"
    return f"{line}{statistics.median(costs):>9.2%}{mean:>9.2%}   {dearest}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    settings = [setting for setting in SETTINGS if setting[0] in arguments.models]
    rows = [
        row(MODELS[key][0], accumulate, every, measure(key, accumulate, every)) for key, accumulate, every in settings
    ]
    print(f"threads: {torch.get_num_threads()}")
    titles = f"{'without, s':>12}{'median':>9}{'mean':>9}   of it"
    print(f"{'models':12}{'accumulated':>12}{'logged every':>14}{titles}")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
