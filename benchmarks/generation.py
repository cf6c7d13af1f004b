"""Samples per minute of `qstar generate`, beside the obvious design, and what solving for α costs.

    python benchmarks/generation.py [--batch_size 8 32] [--prompts 32] [--repeats 3] [--threads 1]

Two random GPT-2s (4 layers × 256 and 6 layers × 384, V = 50257) answer prompts of 16 tokens with 48 tokens.

- reference: transformers' generate() on the policy, with a LogitsProcessor that runs the target beside it (with a
  cache) and finds α by 20 bisections of the KL gap; texts are decoded and written as JSON lines, without diagnostics.
- each α method: `trainer.predict` as `qstar generate` runs it, from reading the data set to the merged files: texts, a
  line of diagnostics per answer, every batch synced to the disk.

All take turns, so that a busy machine slows all of them. Printed are medians, and the median over turns of the ratio
to the reference and to the fixed α of the same turn.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import torch
from decoding import BISECTIONS, PROMPT, TOKENS, VOCAB, generate, random_gpt2
from lightning.pytorch import Trainer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from qstar_pl.data.text.rendering import PlainRendering
from qstar_pl.generation import GenerationData, GenerationModule, GenerationWriter
from qstar_pl.generation.generator import InMemory
from qstar_pl.generation.guide import alpha_strategy
from qstar_pl.quiet import quieten_commands
from qstar_pl.samplers import GeometricSampler
from qstar_pl.targets import Expert

METHODS = ("fixed", "entropy", "kl_symmetric", "ess_balance", "snr")
REFERENCE = "reference"


def word_tokenizer(vocab: int = VOCAB) -> PreTrainedTokenizerBase:
    """A tokenizer, by default of GPT-2's size, whose tokens are words, so that every prompt has the same length."""
    words = {"<pad>": 0, "<eos>": 1, "<unk>": 2} | {f"w{number}": number for number in range(3, vocab)}
    backend = Tokenizer(WordLevel(words, unk_token="<unk>"))
    backend.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<eos>", pad_token="<pad>", unk_token="<unk>", padding_side="left"
    )


def ours(
    method: str,
    models: tuple[PreTrainedModel, PreTrainedModel],
    tokenizer: PreTrainedTokenizerBase,
    prompts: Path,
    batch_size: int,
) -> tuple[int, int]:
    """Run the pipeline and return (rows, tokens)."""
    policy, target = (InMemory(model, tokenizer) for model in models)
    sampler = GeometricSampler(alpha=alpha_strategy(method), max_new_tokens=TOKENS)
    module = GenerationModule(policy, Expert(target), sampler, seed=0)
    data = GenerationData(str(prompts), prompt_field="prompt", rendering=PlainRendering(), batch_size=batch_size)
    with tempfile.TemporaryDirectory() as folder:
        writer = GenerationWriter(f"{folder}/out.jsonl")
        trainer = Trainer(
            accelerator="cpu",
            callbacks=[writer],
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
        )
        with redirect_stdout(None):
            trainer.predict(module, datamodule=data, return_predictions=False)
        return writer.totals["rows"], writer.totals["tokens"]


def reference(
    models: tuple[PreTrainedModel, PreTrainedModel],
    tokenizer: PreTrainedTokenizerBase,
    prompts: Path,
    batch_size: int,
) -> tuple[int, int]:
    """Do the same as one would with transformers alone."""
    texts = [json.loads(line)["prompt"] for line in prompts.read_text().splitlines()]
    rows = []
    for start in range(0, len(texts), batch_size):
        batch = texts[start : start + batch_size]
        ids = tokenizer(batch, return_tensors="pt")["input_ids"]
        answers = tokenizer.batch_decode(generate(*models, ids)[:, PROMPT:], skip_special_tokens=True)
        for prompt, answer in zip(batch, answers, strict=True):
            turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
            rows.append(json.dumps({"messages": turns}))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "out.jsonl").write_text("\n".join(rows))
    return len(rows), len(rows) * TOKENS


def turns(calls: dict[str, Callable[[], tuple[int, int]]], repeats: int) -> dict[str, list[float]]:
    """Return samples per minute of every call in every turn; the first turn warms up."""
    rates: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(repeats + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            rows, tokens = call()
            if tokens < 0.99 * rows * TOKENS:
                raise RuntimeError(f"{name} ended answers early: {tokens} tokens in {rows} rows")
            if repeat > 0:
                rates[name].append(60 * rows / (time.perf_counter() - started))
    return rates


def print_table(rates: dict[str, list[float]], batch_size: int) -> None:
    def ratio(name: str, base: str) -> float:
        return statistics.median(a / b for a, b in zip(rates[name], rates[base], strict=True))

    print(f"\nbatch {batch_size}")
    print(f"{'':16}{'samples/min':>12}{'x reference':>13}{'ms/token':>10}{'time over fixed α':>19}")
    for name, values in rates.items():
        middle = statistics.median(values)
        per_token = 60e3 / middle / TOKENS * batch_size
        extra = "" if name == REFERENCE else f"{1 / ratio(name, 'fixed') - 1:+19.1%}"
        print(f"{name:16}{middle:12.1f}{ratio(name, REFERENCE):12.2f}x{per_token:10.2f}{extra}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch_size", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--spread", type=float, default=0.02, help="standard deviation of the random weights")
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    quieten_commands()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    models = random_gpt2(4, 256, 0, options.spread), random_gpt2(6, 384, 1, options.spread)
    tokenizer, draw = word_tokenizer(), random.Random(0)
    print(
        f"{options.prompts} prompts of {PROMPT} tokens, {TOKENS} new tokens, V = {VOCAB}, {options.threads} threads, ",
        end="",
    )
    print(f"{options.repeats} turns; the reference bisects {BISECTIONS} times")
    with tempfile.TemporaryDirectory() as folder:
        prompts = Path(folder, "prompts.jsonl")
        rows = [" ".join(f"w{draw.randrange(3, VOCAB)}" for _ in range(PROMPT)) for _ in range(options.prompts)]
        prompts.write_text("".join(json.dumps({"prompt": row}) + "\n" for row in rows))
        for batch_size in options.batch_size:
            calls: dict[str, Callable[[], tuple[int, int]]] = {
                REFERENCE: partial(reference, models, tokenizer, prompts, batch_size)
            }
            methods = dict.fromkeys(("fixed", *options.methods))
            calls |= {name: partial(ours, name, models, tokenizer, prompts, batch_size) for name in methods}
            print_table(turns(calls, options.repeats), batch_size)


if __name__ == "__main__":
    main()
