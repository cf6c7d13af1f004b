"""What it costs until the first batch of a large preference dataset, beside plain `datasets`.

    python benchmarks/large_data.py [--rows 50000] [--baseline CHECKOUT] [--skip datasets]

Makes N rows (prompt, chosen, rejected; about 850 bytes each, one in 1000 without an answer) and a BPE tokenizer in a
temporary folder. Each start is a fresh process: the first finds no cache, the second finds what the first left. Printed
are CPU seconds (user and system, threads included), with and without the imports of torch, transformers and, for ours,
Lightning, which no training of this kind is spared; the peak of the resident memory; and for ours a hash of the report
and of the first batches, which must be the same in all starts and checkouts.

`datasets` is `load_dataset("json")`, a batched `map` of the tokenizer over the three texts, and a shuffled torch
DataLoader that pads: without templates, splits, limits on lengths, reasons for rows left out, or a position to resume.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

BATCHES = 20
IMPORTED = """
import torch{}
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
import resource
used = resource.getrusage(resource.RUSAGE_SELF)
imported = used.ru_utime + used.ru_stime
"""
MEASURED = """
for line in open("/proc/self/status"):
    if line.startswith("VmHWM"):
        peak = int(line.split()[1]) / 2**20
used = resource.getrusage(resource.RUSAGE_SELF)
total = used.ru_utime + used.ru_stime
print(f"RESULT {total:.1f} {total - imported:.1f} {peak:.2f} {facts}")
"""
OURS = (
    IMPORTED.format(", lightning.pytorch")
    + """
import hashlib, sys
from qstar_pl.data import RLHFDataModule
from qstar_pl.types import PreferenceBatch
path, tokenizer, cache = sys.argv[1:]
data = RLHFDataModule(path, tokenizer=tokenizer, batch_size=16, cache_dir=cache, max_prompt_tokens=256,
                      max_completion_tokens=256)
data.setup("fit")
content = hashlib.blake2b(digest_size=8)
content.update("\\n".join(line for line in data.report.lines() if cache not in line).encode())
for loader in (data.train_dataloader(), *data.val_dataloader()):
    for number, batch in zip(range(BATCHES), loader):
        if isinstance(batch, PreferenceBatch):
            for tensor in (batch.chosen_ids, batch.chosen_mask, batch.rejected_ids, batch.rejected_mask):
                content.update(tensor.numpy().tobytes())
        prompts = getattr(batch, "prompts", batch)
        for tensor in (prompts.prompt_ids, prompts.prompt_mask, prompts.keys):
            content.update(tensor.numpy().tobytes())
        content.update(repr(prompts.examples).encode())
facts = content.hexdigest()
"""
)
PLAIN = (
    IMPORTED.format("")
    + """
import sys, torch
import datasets
from torch.utils.data import DataLoader
from transformers import AutoTokenizer
path, folder, cache = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
datasets.disable_progress_bars()
rows = datasets.load_dataset("json", data_files=path, split="train", cache_dir=cache)
TEXTS = ("prompt", "chosen", "rejected")
def encode(batch):
    texts = {name: [text or "" for text in batch[name]] for name in TEXTS}
    return {f"{name}_ids": tokenizer(texts[name], truncation=True, max_length=256)["input_ids"] for name in TEXTS}
rows = rows.map(encode, batched=True)
def collate(batch):
    return [tokenizer.pad({"input_ids": [row[f"{name}_ids"] for row in batch]}, return_tensors="pt") for name in TEXTS]
for number, batch in zip(range(BATCHES), DataLoader(rows, 16, shuffle=True, collate_fn=collate)):
    facts = "-"
"""
)


def text(words: list[str], random_: random.Random, count: int) -> str:
    """Return a text of `count` words."""
    return " ".join(random_.choices(words, k=count))


def make(folder: Path, rows: int) -> tuple[Path, Path]:
    """Write the rows and the tokenizer; return where."""
    random_ = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(random_.choices(letters, k=random_.randint(2, 9))) for _ in range(4000)]
    path = folder / "rows.jsonl"
    with path.open("w") as file:
        for number in range(rows):
            row: dict[str, str | None] = {"prompt": text(words, random_, random_.randint(5, 75))}
            row |= {name: text(words, random_, random_.randint(5, 75)) for name in ("chosen", "rejected")}
            if number % 1000 == 500:
                row["chosen"] = None
            file.write(json.dumps(row) + "\n")
    backend = Tokenizer(BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=8000,
        special_tokens=["<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator((text(words, random_, 200) for _ in range(500)), trainer)
    where = folder / "tokenizer"
    PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<eos>", pad_token="<eos>").save_pretrained(where)
    return path, where


def start(code: str, arguments: list[Path], source: Path) -> str:
    """Run one start in a fresh process; return what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(source), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    program = f"BATCHES = {BATCHES}\n{code}\n{MEASURED}"
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return next(line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT "))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50000)
    parser.add_argument("--baseline", type=Path, help="another checkout, measured beside this one")
    parser.add_argument("--skip", nargs="*", default=[], choices=["datasets", "ours", "baseline"])
    given = parser.parse_args()
    mine = Path(__file__).resolve().parents[1] / "src"
    runs = {"ours": (OURS, mine), "datasets": (PLAIN, mine)}
    if given.baseline is not None:
        runs["baseline"] = (OURS, given.baseline / "src")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path, tokenizer = make(folder, given.rows)
        print(f"{given.rows} rows, {path.stat().st_size / 1e6:.0f} MB")
        print(f"{'':10} {'start':6} {'CPU s':>7} {'without imports':>16} {'peak GB':>8}  hash")
        for name, (code, source) in runs.items():
            for which in ("first", "second") if name not in given.skip else ():
                cpu, own, peak, facts = start(code, [path, tokenizer, folder / f"cache-{name}"], source).split()
                print(f"{name:10} {which:6} {cpu:>7} {own:>16} {peak:>8}  {facts}", flush=True)


if __name__ == "__main__":
    main()
