"""One training step, split into sampling, scoring and training, with its peak memory; beside TRL's if it is installed.

    python benchmarks/step.py [--models gpt2] [--prompts 4] [--samples 4] [--tokens 24] [--steps 1] [--repeats 1]
                              [--threads 1] [--precision bf16-true] [--strategy fsdp] [--accelerator gpu]

Rows, each in a process of its own and in turns, on the same prompts, with answers of one length (a model of random
weights does not end them), AdamW, the same reward, and the same frozen reference:

- q*: `QStar`, which decodes with π_θ and π_t;
- on-policy: `QStar` with `PolicySampler`, the same work as TRL's but for one pass of π_t over the finished answers;
- TRL RLOO: `trl.RLOOTrainer`, the closest there (answers of π_θ, leave-one-out baseline, KL to the reference), with
  Hugging Face's `generate`; without `trl` in the environment the row is left out.

Each run takes a first step that is not counted. Scoring is the reward and the reference's pass. TRL's reference pass is
counted as training. Without a GPU, seconds are the process's processor time, which other programs do not lengthen (the
defaults take about five minutes of it), and memory is its peak; with one, seconds on the clock and CUDA allocations.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from itertools import islice
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.utilities.types import STEP_OUTPUT
from wide import WideGPT2

from qstar_pl.callbacks import default_diagnostics
from qstar_pl.data import RLHFDataModule
from qstar_pl.methods import QStar
from qstar_pl.models import ModelSource, Pretrained
from qstar_pl.rewards import GoldReward
from qstar_pl.samplers import GeometricSampler, PolicySampler, Sampler
from qstar_pl.targets import Expert
from qstar_pl.tiny_world.gold_formula import gold_reward
from qstar_pl.types import PreferenceBatch

# So slow that the answers stay as long as they are: a model of random weights would soon end them at once.
LEARNING_RATE, KL_COEFFICIENT = 1e-8, 0.05
SAMPLING, SCORING = "sampling", "scoring"
ROWS = ("q*", "on-policy", "TRL RLOO")


class Stopwatch:
    """Adds up the seconds of named stages, step by step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self._stages: dict[str, float] = {}
        self._began = 0.0

    @staticmethod
    def now() -> float:
        """Return the time when all that was asked of the device is done."""
        if not torch.cuda.is_available():
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def start(self) -> None:
        """Begin a step."""
        self._stages, self._began = {SAMPLING: 0.0, SCORING: 0.0}, self.now()

    def stop(self) -> None:
        """End it."""
        self.steps.append({**self._stages, "step": self.now() - self._began})

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, its time counted as that stage's."""

        def measured(*args: Any, **kwargs: Any) -> Any:
            began = self.now()
            result = function(*args, **kwargs)
            self._stages[stage] += self.now() - began
            return result

        return measured


class StepClock(Callback):
    """Starts and stops the watch with Lightning's steps, diagnostics included."""

    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch

    def on_train_batch_start(self, *_: Any) -> None:
        self.watch.start()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: STEP_OUTPUT, *_: Any) -> None:
        self.watch.stop()


def models(name: str, precision: str) -> tuple[ModelSource, ModelSource]:
    """Return π_θ and π_t."""
    if name == "tiny":
        return Pretrained("tiny/policy"), Pretrained("tiny/expert")
    dtype = {"bf16-true": "bfloat16", "16-true": "float16"}.get(precision, "float32")
    return WideGPT2(seed=1, dtype=dtype), WideGPT2(seed=2, dtype=dtype)


def ours(watch: Stopwatch, sampler: Sampler, options: argparse.Namespace) -> None:
    """Train with this package."""
    policy, target = models(options.models, options.precision)
    module = QStar(
        policy=policy,
        target=Expert(target),
        reward=GoldReward(),
        gold=None,
        sampler=sampler,
        samples_per_prompt=options.samples,
        kl_coefficient=KL_COEFFICIENT,
        optimizer=lambda p: torch.optim.AdamW(p, lr=LEARNING_RATE, weight_decay=0.0),
    )
    for stage, names in ((SAMPLING, ["draw"]), (SCORING, ["score", "reference_logprobs"])):
        for method in names:
            setattr(module, method, watch.timed(stage, getattr(module, method)))
    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            accelerator=options.accelerator,
            devices=1,
            strategy=options.strategy,
            precision=options.precision,
            max_steps=options.steps + 1,
            limit_val_batches=0,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            default_root_dir=folder,
            logger=False,
            callbacks=[*default_diagnostics()[1:], StepClock(watch)],
        ).fit(module, RLHFDataModule(batch_size=options.prompts))


def trl(watch: Stopwatch, options: argparse.Namespace) -> None:
    """Train with TRL on the same prompts."""
    from datasets import Dataset
    from transformers import TrainerCallback
    from trl import RLOOConfig, RLOOTrainer

    class HookClock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            watch.start()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            watch.stop()

    source, _ = models(options.models, options.precision)
    prompts = first_prompts(options)

    def reward(prompts: Sequence[str], completions: Sequence[str], **_: Any) -> list[float]:
        return [gold_reward(question, answer, {}) for question, answer in zip(prompts, completions, strict=True)]

    with tempfile.TemporaryDirectory() as folder:
        source.load().save_pretrained(folder)
        tokenizer = source.tokenizer()
        trainer = RLOOTrainer(
            model=folder,
            reward_funcs=reward,
            processing_class=tokenizer,
            train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in prompts]),
            callbacks=[HookClock()],
            args=RLOOConfig(
                output_dir=f"{folder}/out",
                use_cpu=options.accelerator == "cpu",
                per_device_train_batch_size=options.prompts * options.samples,
                num_generations=options.samples,
                max_completion_length=options.tokens,
                max_steps=options.steps + 1,
                learning_rate=LEARNING_RATE,
                lr_scheduler_type="constant",
                beta=KL_COEFFICIENT,
                gradient_checkpointing=False,
                shuffle_dataset=False,
                bf16=options.precision == "bf16-mixed",
                max_grad_norm=0.0,
                model_init_kwargs={"dtype": str(next(source.load().parameters()).dtype).removeprefix("torch.")},
                report_to=[],
                disable_tqdm=True,
                save_strategy="no",
            ),
        )
        trainer._generate = watch.timed(SAMPLING, trainer._generate)
        trainer._calculate_rewards = watch.timed(SCORING, trainer._calculate_rewards)
        trainer.train()


def first_prompts(options: argparse.Namespace) -> list[str]:
    """Return the prompts of the first steps as text, in the order in which this package meets them."""
    seed_everything(0, verbose=False)
    data = RLHFDataModule(batch_size=options.prompts, tokenizer="tiny")
    data.setup("fit")
    tokenizer = Pretrained("tiny/policy").tokenizer()
    texts: list[str] = []
    for batch in islice(data.train_dataloader(), options.steps + 1):
        assert isinstance(batch, PreferenceBatch)  # what there is without a method that asks for another
        rows = zip(batch.prompts.prompt_ids, batch.prompts.prompt_mask, strict=True)
        texts.extend(tokenizer.decode(ids[mask]) for ids, mask in rows)
    return texts


def run(row: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the times of a row's steps, and its peak of memory in GiB."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(options.threads)
    seed_everything(0, verbose=False)
    watch = Stopwatch()
    if row == "TRL RLOO":
        trl(watch, options)
    else:
        samplers = {"q*": GeometricSampler, "on-policy": PolicySampler}
        ours(watch, samplers[row](max_new_tokens=options.tokens), options)
    cuda = torch.cuda.is_available() and options.accelerator != "cpu"
    peak = torch.cuda.max_memory_allocated() if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"steps": watch.steps[1:], "peak_gib": peak / 2**30}


def table(results: dict[str, list[dict[str, Any]]]) -> str:
    """Return medians over steps and repeats; ratios are to TRL's step, or to q*'s without it."""
    lines = [
        f"{'':12}{'sampling, s':>13}{'scoring, s':>12}{'training, s':>13}{'step, s':>10}{'ratio':>8}{'peak, GiB':>11}"
    ]
    base = results.get("TRL RLOO", results["q*"])
    unit = statistics.median(step["step"] for run in base for step in run["steps"])
    for row, runs in results.items():
        steps = [step for run in runs for step in run["steps"]]
        middle = {key: statistics.median(step[key] for step in steps) for key in (SAMPLING, SCORING, "step")}
        training = statistics.median(step["step"] - step[SAMPLING] - step[SCORING] for step in steps)
        peak = max(run["peak_gib"] for run in runs)
        lines.append(
            f"{row:12}{middle[SAMPLING]:>13.3f}{middle[SCORING]:>12.3f}{training:>13.3f}{middle['step']:>10.3f}"
            f"{middle['step'] / unit:>8.2f}{peak:>11.2f}"
        )
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", choices=("gpt2", "tiny"), default="gpt2")
    for name, default in (("prompts", 4), ("samples", 4), ("tokens", 24), ("steps", 1), ("repeats", 1), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--accelerator", default="auto")
    parser.add_argument("--strategy", default="auto")
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--row", choices=ROWS, help="run this row alone, and print its figures as JSON")
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.row:
        print(json.dumps(run(options.row, options)))
        return
    rows = [row for row in ROWS if row != "TRL RLOO" or find_spec("trl")]
    results: dict[str, list[dict[str, Any]]] = {row: [] for row in rows}
    for _ in range(options.repeats):
        for row in rows:
            words = [sys.executable, *sys.argv, f"--row={row}"]
            said = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
            results[row].append(json.loads(said.splitlines()[-1]))
            taken = ", ".join(f"{step['step']:.1f}" for step in results[row][-1]["steps"])
            print(f"{row}: {taken} s per step", flush=True)  # so that something is there if the run is stopped
    rollout = f"{options.prompts} prompts × {options.samples} answers × {options.tokens} tokens"
    print(f"{options.models}, {options.precision}, {rollout}")
    print(table(results))


if __name__ == "__main__":
    main()
