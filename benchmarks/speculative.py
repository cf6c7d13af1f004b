"""Speculative q* beside plain q*: predicted and measured speed-up, on this machine, in one run.

    python benchmarks/speculative.py [--pairs tiny deep …] [--batches 1 8] [--k 3 5 auto] [--repeats 3] [--threads 1]

Each line is one pair of models, one drafter, one length of blocks and one number of rows. Plain decoding and drafters
take turns; the column `measured` is the median over turns of plain's processor time over the sampler's, for the same
tokens, and `predicted` what the cost model of the sampler says from the share accepted and the times of passes. `auto`
may draft nothing; k = auto chooses the length of each block.

`--automatic SECONDS` asks one thing alone, whether the automatic mode is ever below 0.97 of plain decoding, also on a
machine that others use: it shares that much processor time out over all pairs and numbers of rows. Plain, automatic and
once more plain decoding take turns, and each line gives the median of plain over automatic with an interval that holds
the true median with 95% probability (order statistics, no assumption on the noise), the same of plain over plain, which
is what the machine does to 1, and a verdict: "not below" where the interval lies above 0.97, "below" where it lies
under it, else "undecided".

Pairs, π_θ and π_t, and the small model that drafts for them:

- tiny: the embedded tiny/policy and tiny/expert, 640 tokens, no drafter;
- babyllama: two independently trained character models of 0.9M parameters in 5 layers (real data; `QSTAR_DATA_DIR`);
- deep: the same two with further layers that add next to nothing, up to 40: the laws of small models at the cost of
  large ones; the small π_θ drafts, and acceptance is that of real models;
- uneven: babyllama as it is for π_θ, and its deep partner for π_t: r = c_θ/c_t about 1/8;
- wide: random GPT-2s of 8 layers × 512, V = 8192, whose later layers add little; π_θ's first two layers draft.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from qstar_pl.models import LanguageModel, Pretrained
from qstar_pl.samplers import GeometricSampler, SpeculativeSampler
from qstar_pl.samplers.couplings import Coupling, Rejection, SharedUniform
from qstar_pl.samplers.drafters import (
    Alternating,
    Drafter,
    Hybrid,
    ModelDrafter,
    PolicyDrafter,
    PromptLookup,
    TargetDrafter,
)
from qstar_pl.samplers.feeds.costs import Meter
from qstar_pl.samplers.sampler import Sampler
from qstar_pl.types import PromptBatch, Rollout

TOKENS, LAYERS, FAINT = 64, 40, 1e-3
LEAST, LEAST_TURNS = 0.97, 6
DATA = Path(os.environ.get("QSTAR_DATA_DIR", Path(__file__).resolve().parents[2] / "shared" / "data"))


class Pair(NamedTuple):
    """Two models, one that drafts for them, and a prompt."""

    policy: LanguageModel
    target: LanguageModel
    drafter: LanguageModel | None
    prompt: list[int]


def deepened(model: PreTrainedModel, layers: int) -> PreTrainedModel:
    """Return a Llama with further layers, copies of its own whose outputs are scaled down until they hardly matter."""
    deep = copy.deepcopy(model)
    stack = deep.model.layers
    while len(stack) < layers:
        layer = copy.deepcopy(stack[len(stack) % len(model.model.layers)])
        layer.self_attn.layer_idx = len(stack)
        with torch.no_grad():
            layer.self_attn.o_proj.weight.mul_(FAINT)
            layer.mlp.down_proj.weight.mul_(FAINT)
        stack.append(layer)
    deep.config.num_hidden_layers = layers
    if getattr(deep.config, "layer_types", None):
        deep.config.layer_types = ["full_attention"] * layers
    return deep


def babyllama(name: str) -> tuple[PreTrainedModel, object]:
    """Return one of the two real models."""
    source = Pretrained(str(DATA / "tiny_models" / name))
    return source.load(), source.tokenizer()


def real_pair(policy_layers: int, target_layers: int) -> Pair:
    """Return the two real models, as they are or deepened."""
    (a, tokenizer), (b, _) = babyllama("babyllama_a"), babyllama("babyllama_b")
    for model in (a, b):
        model.generation_config.eos_token_id = model.config.eos_token_id = None
    grown = [deepened(a, policy_layers), deepened(b, target_layers)]
    small = LanguageModel(a) if min(policy_layers, target_layers) > 5 else None
    prompt = tokenizer("Once upon a time, there was a little girl named Lily. She loved to play")["input_ids"]  # type: ignore[operator]
    return Pair(LanguageModel(grown[0]), LanguageModel(grown[1]), small, list(prompt))


def tiny_pair() -> Pair:
    """Return the embedded models."""
    models = []
    for name in ("tiny/policy", "tiny/expert"):
        model = Pretrained(name).load()
        model.generation_config.eos_token_id = model.config.eos_token_id = None
        models.append(LanguageModel(model))
    ids = Pretrained("tiny/policy").tokenizer()("What color is the sky?")["input_ids"]
    return Pair(models[0], models[1], None, list(ids))


def wide_pair() -> Pair:
    """Return two random GPT-2s that mostly agree, and the first two layers of one of them."""
    torch.manual_seed(0)
    config = AutoConfig.for_model("gpt2", n_layer=8, n_embd=512, n_head=8, vocab_size=8192, initializer_range=0.08)
    config.bos_token_id = config.eos_token_id = None
    policy = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        policy.transformer.ln_f.weight.mul_(2.0)  # of about the entropy of a language model
        for block in policy.transformer.h[2:]:
            block.attn.c_proj.weight.mul_(0.05)
            block.mlp.c_proj.weight.mul_(0.05)
    target = copy.deepcopy(policy)
    with torch.no_grad():
        for parameter in target.transformer.h.parameters():
            if parameter.dim() > 1:
                parameter.mul_(1 + 0.1 * torch.randn_like(parameter))
    small = copy.deepcopy(policy)
    small.transformer.h = nn.ModuleList(small.transformer.h[:2])
    small.config.n_layer = small.config.num_hidden_layers = 2
    models = [LanguageModel(model) for model in (policy, target, small)]
    return Pair(models[0], models[1], models[2], torch.randint(8192, (24,)).tolist())


PAIRS: dict[str, Callable[[], Pair]] = {
    "tiny": tiny_pair,
    "babyllama": lambda: real_pair(5, 5),
    "deep": lambda: real_pair(LAYERS, LAYERS),
    "uneven": lambda: real_pair(5, LAYERS),
    "wide": wide_pair,
}


def drafters(pair: Pair) -> dict[str, Drafter]:
    """Return who may draft for a pair."""
    found: dict[str, Drafter] = {
        "policy": PolicyDrafter(),
        "target": TargetDrafter(),
        "alternating": Alternating(),
        "lookup": PromptLookup(longest=6, shortest=3),
    }
    if pair.drafter is not None:
        small = ModelDrafter()
        small._tokens[:] = [pair.drafter]
        found["model"], found["hybrid"] = small, Hybrid(PromptLookup(longest=6, shortest=3), small)
    return found


def draw(sampler: Sampler, pair: Pair, rows: int, seed: int) -> tuple[Rollout, float]:
    """Return a rollout and its processor time, s."""
    ids = torch.tensor([pair.prompt] * rows)
    prompts = PromptBatch(ids, torch.ones_like(ids, dtype=torch.bool), torch.arange(rows), ())
    started = time.process_time()
    rollout = sampler.draw(prompts, pair.policy, pair.target, samples=1, seed=seed)
    return rollout, time.process_time() - started


def settings(pair: Pair, options: argparse.Namespace) -> dict[tuple[str, str, str], SpeculativeSampler]:
    """Return (drafter, k, mode) → sampler."""
    coupling: Coupling = Rejection() if options.rejection else SharedUniform()
    found = {}
    for name, drafter in drafters(pair).items():
        if options.drafters and name not in options.drafters:
            continue
        if coupling.uses_draft_probs and not drafter.steady:
            continue
        lengths = [*options.k, "1"] if name == "alternating" else options.k
        modes = [(k, "always") for k in dict.fromkeys(lengths) if k != "auto"]
        modes += [("auto", "auto")] if "auto" in options.k else []
        for k, mode in modes:
            found[name, k, mode] = SpeculativeSampler(
                drafter=drafter,
                k=None if k == "auto" else int(k),
                coupling=coupling,
                mode=mode,  # type: ignore[arg-type]
                max_new_tokens=options.tokens,
            )
    return found


def compare(name: str, pair: Pair, rows: int, options: argparse.Namespace) -> list[float]:
    """Print a line per setting, and return the speed-ups of automatic ones."""
    plain, samplers = GeometricSampler(max_new_tokens=options.tokens), settings(pair, options)
    ratios: dict[tuple[str, str, str], list[float]] = {key: [] for key in samplers}
    last: dict[tuple[str, str, str], Rollout] = {}
    for sampler in samplers.values():
        # Automatic samplers learn what passes cost; fixed ones get it from the plain rounds of this rollout.
        learning = replace(sampler, mode="auto")
        learning._memory[0] = sampler._memory[0]
        for seed in range(options.warm_up):
            draw(learning, pair, rows, 100 + seed)
    for repeat in range(options.repeats):
        for key, sampler in samplers.items():
            # Plain before and after, so that a drift of the machine weighs on both alike.
            _, before = draw(plain, pair, rows, repeat)
            last[key], elapsed = draw(sampler, pair, rows, repeat)
            _, after = draw(plain, pair, rows, repeat)
            ratios[key].append((before + after) / 2 / elapsed)
    for key, values in ratios.items():
        drafter, k, _ = key
        info = last[key].info
        drafting = info.drafting
        line = f"{name:10s} {drafter:12s} {k:>5s} {rows:5d}"
        if drafting is None or not info.drafted:
            line += f"{'plain':>12s}{'':12s}{'':10s}"
        else:
            accepted = sum(drafting.accepted) / max(1, sum(drafting.tested))
            per_call = options.tokens / max(1, max(drafting.calls.get(role, 0) for role in ("policy", "target")))
            line += f"{accepted:12.3f}{per_call:12.2f}{drafting.predicted or float('nan'):10.2f}"
        print(f"{line}{statistics.median(values):10.2f}   ({min(values):.2f}-{max(values):.2f})", flush=True)
    return [statistics.median(values) for (_, _, mode), values in ratios.items() if mode == "auto"]


def median_interval(values: list[float]) -> tuple[float, float]:
    """Return order statistics that hold the median of what `values` are draws of, with 95% probability.

    Fewer than six values cannot: then the ends are infinite.
    """
    ordered, count, rank, mass = sorted(values), len(values), 0, 0.0
    while (mass := mass + math.comb(count, rank) / 2**count) <= 0.025:
        rank += 1
    return (ordered[rank - 1], ordered[count - rank]) if rank else (0.0, math.inf)


def verdict(low: float, high: float) -> str:
    """Say on which side of `LEAST` an interval lies."""
    return "not below" if low >= LEAST else "below" if high < LEAST else "undecided"


def watch_automatic(options: argparse.Namespace) -> None:
    """Print a line per pair, number of rows and drafter: automatic against plain, and plain against itself."""
    places = len(options.pairs) * len(options.batches)
    print(f"{'pair':10s} {'drafter':12s} {'batch':>5s} {'turns':>5s} {'drafted':>8s}  plain/automatic      plain/plain")
    pooled: list[float] = []
    for name in options.pairs:
        pair = PAIRS[name]()
        for rows in options.batches:
            samplers = {key[0]: sampler for key, sampler in settings(pair, options).items()}
            for drafter, sampler in samplers.items():
                started, budget = time.process_time(), options.automatic / places / len(samplers)
                plain = GeometricSampler(max_new_tokens=options.tokens)
                for seed in range(options.warm_up):
                    draw(sampler, pair, rows, 100 + seed)
                own: list[float] = []
                noise: list[float] = []
                drafted = 0
                while time.process_time() - started < budget or len(own) < LEAST_TURNS:
                    _, before = draw(plain, pair, rows, len(own))
                    rollout, elapsed = draw(sampler, pair, rows, len(own))
                    _, after = draw(plain, pair, rows, len(own))
                    own.append((before + after) / 2 / elapsed)
                    noise.append(before / after)
                    drafted += bool(rollout.info.drafted)
                pooled += own
                line = f"{name:10s} {drafter:12s} {rows:5d} {len(own):5d} {drafted / len(own):8.0%}"
                for values in (own, noise):
                    low, high = median_interval(values)
                    line += f"  {statistics.median(values):5.2f} [{low:.2f}, {high:.2f}]"
                print(f"{line}  {verdict(*median_interval(own))}", flush=True)
    low, high = median_interval(pooled)
    print(f"all {len(pooled)} turns: {statistics.median(pooled):.3f} [{low:.3f}, {high:.3f}]  {verdict(low, high)}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Speed-up of speculative q* over plain q*.")
    parser.add_argument("--pairs", nargs="*", choices=PAIRS, default=list(PAIRS))
    parser.add_argument("--drafters", nargs="*", help="of those that the pair has; default: all")
    parser.add_argument("--batches", nargs="*", type=int, default=[1, 8])
    parser.add_argument("--k", nargs="*", default=["3", "5", "10", "auto"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--warm-up", type=int, default=4, help="draws before: what automatic ones decide by")
    parser.add_argument("--tokens", type=int, default=TOKENS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rejection", action="store_true", help="accept by min(1, q/p), not by a shared number")
    parser.add_argument(
        "--automatic", type=float, metavar="SECONDS", help="watch the automatic mode alone, for so long"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.automatic is not None:
        options.k = ["auto"]
        with patch.object(Meter, "clock", staticmethod(time.process_time)):
            watch_automatic(options)
        return
    print(f"{options.tokens} tokens, {options.threads} thread(s), {options.repeats} repeats, processor time")
    head = f"{'accepted':>12s}{'tokens/call':>12s}{'predicted':>10s}{'measured':>10s}"
    print(f"{'pair':10s} {'drafter':12s} {'k':>5s} {'batch':>5s}{head}")
    automatic = []
    with patch.object(Meter, "clock", staticmethod(time.process_time)):
        for name in options.pairs:
            pair = PAIRS[name]()
            for rows in options.batches:
                automatic += compare(name, pair, rows, options)
    if automatic:
        print(f"slowest automatic setting: {min(automatic):.2f} x plain")


if __name__ == "__main__":
    main()
