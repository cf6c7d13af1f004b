"""Compiled decoding beside plain decoding: tokens per second, and what compiling costs, on this machine in one run.

    python benchmarks/compiled.py [--pairs tiny gpt2] [--batches 1 8] [--tokens 48] [--repeats 5] [--threads 1]
                                  [--backend inductor] [--device cuda]

q* of two models, with all that a rollout reports. Plain and compiled rollouts take turns; the medians of their tokens
per second are printed, by processor time on a CPU, which other programs do not lengthen. The first compiled rollout,
which compiles, is timed apart, by the clock (inductor's C++ compiler is a process of its own). All texts are compared.

Pairs: tiny, the embedded tiny/policy and tiny/expert; gpt2, two random models of the shape of GPT-2 124M, V = 50257.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch._dynamo.utils import counters
from transformers import AutoConfig, AutoModelForCausalLM

from qstar_pl.models import LanguageModel, Pretrained
from qstar_pl.samplers import GeometricSampler
from qstar_pl.types import PromptBatch, Rollout

PROMPT = 16


def tiny(device: str) -> tuple[LanguageModel, LanguageModel]:
    """Return the embedded pair."""
    policy, target = (LanguageModel(Pretrained(f"tiny/{name}").load().to(device)) for name in ("policy", "expert"))
    return policy, target


def gpt2(device: str) -> tuple[LanguageModel, LanguageModel]:
    """Return two random models of GPT-2's shape."""
    models = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        config = AutoConfig.for_model("gpt2", bos_token_id=None, eos_token_id=None)
        models.append(LanguageModel(AutoModelForCausalLM.from_config(config).eval().to(device)))
    return models[0], models[1]


PAIRS: dict[str, Callable[[str], tuple[LanguageModel, LanguageModel]]] = {"tiny": tiny, "gpt2": gpt2}


def measure(name: str, rows: int, options: argparse.Namespace) -> None:
    """Print one line."""
    policy, target = PAIRS[name](options.device)
    mask = torch.ones(rows, PROMPT, dtype=torch.bool, device=options.device)
    ids = torch.randint(policy.vocab_size, mask.shape, generator=torch.Generator().manual_seed(0)).to(options.device)
    prompts = PromptBatch(ids, mask, torch.arange(rows), ())
    samplers = {"plain": GeometricSampler(max_new_tokens=options.tokens)}
    samplers["compiled"] = replace(samplers["plain"], torch_compile=options.backend)
    clock = time.process_time if options.device == "cpu" else time.perf_counter

    def draw(way: str, seed: int, timer: Callable[[], float] = clock) -> tuple[Rollout, float]:
        started = timer()
        rollout = samplers[way].draw(prompts, policy, target, samples=1, seed=seed)
        if options.device != "cpu":
            torch.accelerator.synchronize()
        return rollout, timer() - started

    draw("plain", 0)  # the probes of the models
    graphs = counters["stats"]["unique_graphs"]
    spent = draw("compiled", 0, time.perf_counter)[1]
    rates: dict[str, list[float]] = {way: [] for way in samplers}
    alike = 0
    for seed in range(1, options.repeats + 1):
        drawn = {}
        for way in sorted(samplers, reverse=bool(seed % 2)):
            drawn[way], elapsed = draw(way, seed)
            rates[way].append(int(drawn[way].completion_mask.sum()) / elapsed)
        alike += int((drawn["plain"].completion_ids == drawn["compiled"].completion_ids).all(-1).sum())
    medians = {way: statistics.median(values) for way, values in rates.items()}
    print(
        f"{name:5s} batch {rows}: plain {medians['plain']:7.1f} tokens/s, compiled {medians['compiled']:7.1f} "
        f"({medians['compiled'] / medians['plain']:.2f} x), first rollout {spent:.0f} s for "
        f"{counters['stats']['unique_graphs'] - graphs} graphs, {alike} of {options.repeats * rows} texts alike",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Tokens per second of compiled and of plain decoding.")
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=list(PAIRS))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--backend", default="inductor")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in options.pairs:
        for rows in options.batches:
            measure(name, rows, options)


if __name__ == "__main__":
    main()
