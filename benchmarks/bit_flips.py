"""Random flipped bits of a checkpoint, and every command that reads one: how many get past it.

Run as `python benchmarks/bit_flips.py [--flips 100] [--seed 0]`, or `just bench bit_flips`. A run of one step leaves a
checkpoint; of it, and of the same as the folder of sharded training, bits are flipped one at a time. Each copy goes to
`fit`, `validate`, `test`, `predict`, `export`, `generate` and to `FromCheckpoint` as the start of another run. Prints
how many each of them refused in one line; exit code 1 if one was accepted, or ended in a traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

SMALL = (
    "--trainer.accelerator=cpu",
    "--trainer.devices=1",
    "--trainer.enable_progress_bar=false",
    "--trainer.limit_val_batches=0",
    "--data.batch_size=2",
)
COMMANDS = {
    "fit": ("fit", *SMALL, "--trainer.max_steps=2", "--ckpt_path={}"),
    "validate": ("validate", *SMALL, "--ckpt_path={}"),
    "test": ("test", *SMALL, "--ckpt_path={}"),
    "predict": ("predict", *SMALL, "--ckpt_path={}"),
    "export": ("export", "--ckpt_path={}", "--output=out"),
    "generate": ("generate", "--model_theta={}", "--num_samples=1", "--max_new_tokens=1", "--output=out.jsonl"),
    "FromCheckpoint": ("fit", *SMALL, "--model=SFT", "--model.policy=FromCheckpoint", "--model.policy.path={}"),
}


def call(*words: str) -> tuple[int, str]:
    """Run a command in this process; return its exit code and what it said on stderr."""
    from qstar_pl.cli import main

    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            code = main(words)
        except Exception as error:
            return 1, f"Traceback: {error!r}"
    return code, said.getvalue()


def flipped(whole: Path, rng: random.Random) -> Path:
    """Return a copy with one other bit."""
    path = Path("flipped.ckpt")
    if whole.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(whole, path)
    else:
        shutil.copy(whole, path)
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    file = rng.choices(files, [one.stat().st_size for one in files])[0]
    place, bit = rng.randrange(file.stat().st_size), rng.randrange(8)
    with file.open("r+b") as stream:
        stream.seek(place)
        value = stream.read(1)[0]
        stream.seek(place)
        stream.write(bytes([value ^ 1 << bit]))
    return path


def main() -> int:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=100, help="of the file, and of the folder")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    from reference.attacks import write_folder  # type: ignore[import-not-found]

    rng, refused, accepted = random.Random(arguments.seed), Counter[tuple[str, str]](), 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        code, said = call("fit", *SMALL, "--model=SFT", "--trainer.max_steps=1", "--name=sft")
        assert code == 0, said
        file = Path("runs/sft/version_0/checkpoints/last.ckpt")
        parts = write_folder(torch.load(file, weights_only=True), Path("parts.ckpt"))
        for kind, whole in (("file", file), ("folder", parts)):
            for number in range(arguments.flips):
                path = flipped(whole, rng)
                for name, words in COMMANDS.items():
                    code, said = call(*(word.format(path) for word in words))
                    lines = [line for line in said.splitlines() if line.startswith("error:")]
                    if code == 2 and len(lines) == 1 and "Traceback" not in said:
                        refused[kind, name] += 1
                    else:
                        accepted += 1
                        print(f"{kind}, flip {number}: {name} ended with {code}: {said[-300:]}")
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            for name in COMMANDS:
                print(f"{kind:7}{name:16}refused {refused[kind, name]} of {arguments.flips}", flush=True)
        os.chdir("/")
    return int(accepted > 0)


if __name__ == "__main__":
    sys.exit(main())
