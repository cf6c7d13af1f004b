"""What q* costs where π_θ and π_t share their weights: time per token beside one forward pass, in one run.

    python benchmarks/stacked.py [--repeats 7] [--threads 1] [--layers 12] [--width 768] [--rank 16] [--device cuda]

A random GPT-2 is the base (V = 50257), π_t the base alone, and π_θ the base with adapters. 32 tokens for 8 prompts:

- one forward of 16 rows: the base's cached forward, nothing else; what a single model of the size costs;
- two forwards of 8 rows: the base's and the adapted model's, one after the other, nothing else;
- stacked forward: both models' 16 rows in one pass, adapters added to 8 of them, nothing else;
- mixed batch: the same by peft's own `adapter_names`, nothing else;
- q*, one by one: `GeometricSampler` with a pass of each model per token;
- q*, stacked: the same with one pass, which is what the sampler does by itself.

All take turns, so that a busy machine slows all of them; medians over the repeats are printed. On a CPU the processor
time is taken, which other programs do not lengthen.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from unittest.mock import patch

import torch
from decoding import random_gpt2
from torch import Tensor
from transformers import PreTrainedModel

from qstar_pl.models.adapters_off import without_adapters
from qstar_pl.models.row_adapters import terms_of
from qstar_pl.models.stacked import StackedModel
from qstar_pl.rollout import LanguageModel
from qstar_pl.samplers import GeometricSampler
from qstar_pl.types import PromptBatch, Rollout

VOCAB, ROWS, PROMPT, TOKENS = 50257, 8, 16, 32


@torch.no_grad()
def bare(model: PreTrainedModel, ids: Tensor, **more: object) -> None:
    """Read prompts and then token by token, and nothing else."""
    cache = model(ids[:, :PROMPT], use_cache=True, logits_to_keep=1, **more).past_key_values
    for column in ids[:, PROMPT : PROMPT + TOKENS - 1].T:
        cache = model(column.unsqueeze(-1), past_key_values=cache, use_cache=True, **more).past_key_values


class Setting:
    """One base, adapters that do something, and prompts."""

    def __init__(self, options: argparse.Namespace) -> None:
        from peft import LoraConfig, PeftModel, get_peft_model

        torch.set_num_threads(options.threads)
        base = random_gpt2(options.layers, options.width, 0, options.spread)
        config = LoraConfig(r=options.rank, lora_alpha=2 * options.rank, fan_in_fan_out=True, task_type="CAUSAL_LM")
        self.mixed: PeftModel = get_peft_model(base, config).eval().to(options.device)
        with torch.no_grad():
            for name, weight in self.mixed.named_parameters():
                if "lora_B" in name:
                    weight.normal_(std=options.spread)
        self.adapted: PreTrainedModel = self.mixed.get_base_model()
        self.plain = without_adapters(self.adapted)
        self.stacked = StackedModel(self.adapted, terms_of(self.adapted), {})
        self.ids = torch.randint(VOCAB, (ROWS, PROMPT + TOKENS)).to(options.device)
        self.names = ["default"] * ROWS + ["__base__"] * ROWS
        mask = torch.ones(ROWS, PROMPT, dtype=torch.bool, device=options.device)
        self.prompts = PromptBatch(self.ids[:, :PROMPT], mask, torch.arange(ROWS), ())
        self.models = LanguageModel(self.adapted), LanguageModel(self.plain)

    def two(self) -> None:
        """Run both models' forwards on 8 rows each."""
        bare(self.adapted, self.ids)
        bare(self.plain, self.ids)

    def decode(self) -> Rollout:
        """Draw the answers from q*."""
        return GeometricSampler(max_new_tokens=TOKENS).draw(self.prompts, *self.models, samples=1, seed=0)

    def one_by_one(self) -> Rollout:
        """Draw them as if the models did not share their weights."""
        with patch("qstar_pl.rollout.lockstep.stacked", return_value=None):
            return self.decode()

    def calls(self) -> Mapping[str, Callable[[], object]]:
        """Return what is timed, by name."""
        twice = self.ids.repeat(2, 1)
        return {
            "one forward of 16 rows": lambda: bare(self.plain, twice),
            "two forwards of 8 rows": self.two,
            "stacked forward": lambda: bare(self.stacked, twice),
            "mixed batch (peft)": lambda: bare(self.mixed, twice, adapter_names=self.names),
            "q*, one by one": self.one_by_one,
            "q*, stacked": self.decode,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description="Time per token of q* decoding where both models share their weights.")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--spread", type=float, default=0.02, help="standard deviation of the random weights")
    options = parser.parse_args()
    setting = Setting(options)
    clock = time.process_time if options.device == "cpu" else time.perf_counter
    calls = setting.calls()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(options.repeats + 1):
        for name in sorted(calls, reverse=bool(repeat % 2)):
            started = clock()
            calls[name]()
            if options.device != "cpu":
                torch.accelerator.synchronize()
            if repeat > 0:  # the first round warms up
                times[name].append((clock() - started) / TOKENS * 1e3)
    stacked, apart = setting.decode(), setting.one_by_one()
    print(
        f"batch {ROWS}, {TOKENS} tokens, GPT-2 of {options.layers} × {options.width}, V = {VOCAB}, adapters of rank ",
        end="",
    )
    print(
        f"{options.rank}, {options.threads} thread(s), {options.repeats} repeats; mean alpha {stacked.alpha.mean():.3f}"
    )
    one, two = (statistics.median(times[name]) for name in ("one forward of 16 rows", "two forwards of 8 rows"))
    for name in calls:
        middle = statistics.median(times[name])
        print(f"{name:24s} {middle:7.2f} ms per token  {middle / one:5.2f} x one forward  {middle / two:5.2f} x two")
    texts = "the same" if torch.equal(stacked.completion_ids, apart.completion_ids) else "other"
    far = max(
        (getattr(stacked, column) - getattr(apart, column)).abs().max().item()
        for column in ("policy_logprobs", "target_logprobs", "behavior_logprobs", "alpha", "log_z")
    )
    print(f"stacked and one by one: {texts} texts, columns within {far:.1e}")


if __name__ == "__main__":
    main()
