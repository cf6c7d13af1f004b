"""`qstar generate` with and without refill: time, and whether every byte is the same.

    python benchmarks/refill.py [--prompts 500] [--batch_size 8] [--repeats 3] [--mean 24] [--tokens 128]
                                [--layers 2 3] [--widths 64 96] [--vocabulary 512] [--longest_prompt 40]
    python benchmarks/refill.py --models tiny [--prompts 500] [--batch_size 8] [--repeats 3] [--tokens 128]

q* of two random GPT-2s (by default so small that a token's time hardly depends on the number of rows, as it does not
where weights are read from memory) on prompts of 4 to `longest_prompt` tokens. Answers end with the same probability
after each token (EOS has that of 1/`mean`), at the latest after `tokens`. Or q* of tiny/policy and tiny/expert on the
embedded prompts. Each run is `trainer.predict` as `qstar generate` runs it, from reading the data to the merged files,
after one of a single batch that is not counted; the two take turns, and the median of their ratios is printed.
Processor time is taken, which other programs do not lengthen.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import statistics
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from generation import word_tokenizer
from lightning.pytorch import Trainer
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from qstar_pl.data.text.rendering import PlainRendering
from qstar_pl.generation import GenerationData, GenerationModule, GenerationWriter
from qstar_pl.generation.generator import InMemory
from qstar_pl.models import ModelSource, Pretrained
from qstar_pl.quiet import quieten_commands
from qstar_pl.samplers import GeometricSampler
from qstar_pl.targets import Expert

EOS = 1
FILES = ("out.jsonl", "out.diagnostics.jsonl", "out.tokens.parquet")


def ending_gpt2(layers: int, width: int, seed: int, vocab: int, mean: float) -> PreTrainedModel:
    """Make a GPT-2 with seeded weights that says EOS with probability 1/mean, whatever it has read."""
    torch.manual_seed(seed)
    config = AutoConfig.for_model("gpt2", n_layer=layers, n_embd=width, n_head=width // 32, vocab_size=vocab)
    config.bos_token_id = config.eos_token_id = EOS
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        # The last states are constant along one direction, and only EOS has a component in it.
        norm, head = model.transformer.ln_f, model.lm_head.weight
        norm.weight[0], norm.bias[0] = 0.0, 1.0
        others = model(torch.randint(2, vocab, (8, 8))).logits.logsumexp(-1).mean()
        head[:, 0] = 0.0
        head[EOS] = 0.0
        head[EOS, 0] = others - torch.tensor(mean - 1).log()
    return model


def sources(options: argparse.Namespace) -> tuple[ModelSource, ModelSource]:
    """Return π_θ and π_t."""
    if options.models == "tiny":
        return Pretrained("tiny/policy"), Pretrained("tiny/expert")
    tokenizer = word_tokenizer(options.vocabulary)
    one, other = (
        InMemory(ending_gpt2(layers, width, seed, options.vocabulary, options.mean), tokenizer)
        for seed, (layers, width) in enumerate(zip(options.layers, options.widths, strict=True))
    )
    return one, other


def write_prompts(options: argparse.Namespace, path: Path) -> str:
    """Write random prompts, one a line, and return the data's name."""
    if options.models == "tiny":
        return "tiny"
    draw = random.Random(0)
    with path.open("w") as file:
        for length in [draw.randint(4, options.longest_prompt) for _ in range(options.prompts)]:
            words = " ".join(f"w{draw.randrange(3, options.vocabulary)}" for _ in range(length))
            file.write(json.dumps({"prompt": words}) + "\n")
    return str(path)


def run(
    models: tuple[ModelSource, ModelSource],
    prompts: str,
    folder: str,
    options: argparse.Namespace,
    refill: bool,
    count: int,
) -> tuple[float, int]:
    """Answer the first `count` prompts and return (seconds, tokens)."""
    policy, target = models
    sampler = GeometricSampler(max_new_tokens=options.tokens)
    module = GenerationModule(policy, Expert(target), sampler, seed=0, save_tokens=True, refill=refill)
    of_file: dict[str, Any] = {} if prompts == "tiny" else {"prompt_field": "prompt", "rendering": PlainRendering()}
    data = GenerationData(prompts, end_idx=count, batch_size=options.batch_size, **of_file)
    writer = GenerationWriter(f"{folder}/out.jsonl", "tokens")
    trainer = Trainer(
        accelerator="cpu",
        callbacks=[writer],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    started = time.process_time()
    with redirect_stdout(None):
        trainer.predict(module, datamodule=data, return_predictions=False)
    return time.process_time() - started, writer.totals["tokens"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--mean", type=float, default=24.0)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--models", choices=("random", "tiny"), default="random")
    parser.add_argument("--layers", type=int, nargs=2, default=(2, 3))
    parser.add_argument("--widths", type=int, nargs=2, default=(64, 96))
    parser.add_argument("--vocabulary", type=int, default=512)
    parser.add_argument("--longest_prompt", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(1)
    quieten_commands()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    models = sources(options)
    times: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        prompts = write_prompts(options, Path(folder, "prompts.jsonl"))
        run(models, prompts, f"{folder}/first", options, False, options.batch_size)
        for turn in range(options.repeats):
            written: dict[bool, list[bytes]] = {}
            for refill in (turn % 2 == 0, turn % 2 != 0):
                with tempfile.TemporaryDirectory() as output:
                    seconds, tokens = run(models, prompts, output, options, refill, options.prompts)
                    times[refill].append(seconds)
                    written[refill] = [Path(output, name).read_bytes() for name in FILES]
            differ = [name for name, one, other in zip(FILES, *written.values(), strict=True) if one != other]
            print(
                f"{tokens} tokens in {options.prompts} answers; with refill {times[True][-1]:.1f} s, without "
                f"{times[False][-1]:.1f} s; {'other bytes in ' + ', '.join(differ) if differ else 'the same bytes'}",
                flush=True,
            )
    ratios = [without / filled for filled, without in zip(times[True], times[False], strict=True)]
    print(f"time without refill ÷ time with it: {statistics.median(ratios):.2f} (median of {len(ratios)})")


if __name__ == "__main__":
    main()
