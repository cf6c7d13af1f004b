"""Short runs of this checkout beside another's: `python benchmarks/recorded.py --baseline CHECKOUT [--only REGEX]`.

Every method, sampler and target, `generate` with every α, and what reads a checkpoint (the baseline's, in both), each
in a process and an empty folder of its own under the same seed. Per command: whether metrics.csv (but for the clocks),
all weights, exported files and lines of JSON are equal bit for bit, and the ratio of CPU time. Exit code 1 if anything
differs or a command fails.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

REPOSITORY = Path(__file__).resolve().parents[1]
CLOCKS = ("time/", "memory/", "tokens/per_s", "samples/per_s")
TRAINER = ("--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.log_every_n_steps=1")
FEW = ("--trainer.limit_val_batches=1", "--trainer.limit_predict_batches=1", "--data.max_rows=200")
SHORT = (*TRAINER, *FEW)
CONFIGS = "{checkout}/configs"
"""Each checkout has its own."""
CHECKPOINTS = "{baseline}/fit {method}/runs/{method}/version_0/checkpoints/last.ckpt"
"""Of the baseline, whichever checkout reads it."""


@dataclass(frozen=True)
class Case:
    """A command of `qstar`."""

    name: str
    words: tuple[str, ...]


def cases(rows: Path) -> Iterator[Case]:
    """Yield the commands, those whose checkpoints others read first.

    Args:
        rows: a file of HH-RLHF's form.

    """
    for file in sorted((REPOSITORY / "configs" / "experiment").glob("tiny_*.yaml")):
        yield Case(
            f"fit {file.stem}", ("fit", f"--config={CONFIGS}/experiment/{file.name}", *SHORT, "--trainer.max_steps=3")
        )
    hh = ("fit", f"--config={CONFIGS}/experiment/hh_rlhf_smoke.yaml", f"--data.init_args.path={rows}", *SHORT)
    yield Case("fit hh_rlhf_smoke", (*hh, "--trainer.max_steps=2"))
    q_star = ("fit", *SHORT, "--trainer.max_steps=2", "--data.batch_size=2", "--model.samples_per_prompt=2")
    for kind in ("sampler", "target"):
        for file in sorted((REPOSITORY / "configs" / kind).glob("*.yaml")):
            if not re.search("execution|gpt2", file.stem):
                of_candidates = file.stem in ("best_of_n", "high_reward", "candidate_set")
                # A law over candidates needs the sampler that has them; a set gives two answers, and LeaveOneOut needs
                # another set beside it.
                words = ("--model.samples_per_prompt=4",) if of_candidates else ()
                if of_candidates and kind == "target":
                    words = (*words, f"--model.sampler={CONFIGS}/sampler/candidate_set.yaml")
                option = f"--model.{kind}={CONFIGS}/{kind}/{file.name}"
                yield Case(f"{kind} {file.stem}", (*q_star, *words, option))
    small = ("--end_idx=6", "--samples_per_prompt=2", "--max_new_tokens=8", "--batch_size=4", "--quiet")
    generate = ("generate", "--model_theta=tiny/policy", "--output=out.jsonl", *small)
    yield Case("generate from π_θ", generate)
    mixture = (*generate, "--model_t=tiny/expert", "--save_diagnostics=rows")
    for method in ("fixed", "entropy", "kl_symmetric", "ess_balance", "snr"):
        yield Case(f"generate {method}", (*mixture, f"--alpha_method={method}"))
    yield Case("generate truncated", (*mixture, "--top_k=20", "--top_p=0.9", "--temperature=0.7"))
    last = CHECKPOINTS.replace("{method}", "tiny_q_star")
    reward = CHECKPOINTS.replace("{method}", "tiny_reward_modeling")
    yield Case("generate from a checkpoint", (*mixture, f"--model_theta={last}"))
    for command in ("validate", "test", "predict"):
        limits = ("--trainer.limit_test_batches=1", *SHORT)
        yield Case(f"{command} a checkpoint", (command, f"--ckpt_path={last}", *limits))
    yield Case("resume a checkpoint", ("fit", f"--ckpt_path={last}", "--trainer.max_steps=5"))
    yield Case("export a policy", ("export", f"--ckpt_path={last}", "--output=exported"))
    yield Case("export a reward model", ("export", f"--ckpt_path={reward}", "--output=exported"))
    start = ("--model.policy=FromCheckpoint", f"--model.policy.path={last}")
    yield Case("start from a checkpoint", (*q_star, *start))


def write_rows(path: Path) -> None:
    """Write invented rows of HH-RLHF's form."""
    draw = random.Random(0)
    words = ["the", "a", "cat", "dog", "tree", "runs", "eats", "sleeps", "green", "small", "why", "how", "when"]

    def say() -> str:
        return " ".join(draw.choices(words, k=6))

    prompts = [f"\n\nHuman: {say()}\n\nAssistant: {say()}\n\nHuman: {say()}\n\nAssistant: " for _ in range(60)]
    rows = [{"chosen": prompt + say(), "rejected": prompt + say()} for prompt in prompts]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def run(case: Case, checkout: Path, folder: Path, baseline: Path) -> tuple[float, str]:
    """Run a command of a checkout; return seconds of CPU, and what it said if it failed."""
    folder.mkdir(parents=True)
    known = {"{checkout}": str(checkout), "{baseline}": str(baseline)}
    words = [re.sub(r"\{\w+\}", lambda match: known[match[0]], word) for word in case.words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PL_", "QSTAR_"))}
    environment |= {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with (folder / "said.txt").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "qstar_pl", *words], cwd=folder, env=environment, stdout=said, stderr=said
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    text = (folder / "said.txt").read_text()
    return usage.ru_utime + usage.ru_stime, "" if process.returncode == 0 else text.strip().rpartition("\n")[2]


def left_by(folder: Path) -> dict[str, Any]:
    """Return what a command left, by path: rows without clocks, weights by name, digests of other files."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        match path.suffix:
            case ".csv":
                with path.open(newline="") as file:
                    rows = list(csv.DictReader(file))
                found[name] = [{key: row[key] for key in sorted(row) if not key.startswith(CLOCKS)} for row in rows]
            case ".ckpt" if path.is_file():
                weights = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
                found[name] = {key: _digest(value.numpy().tobytes()) for key, value in sorted(weights.items())}
            case ".jsonl" | ".safetensors":
                found[name] = _digest(path.read_bytes())
    return found


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def compare(case: Case, checkouts: tuple[Path, Path], place: Path) -> bool:
    """Run a command of both checkouts, print a line, and return whether what they left is equal."""
    folders = [place / name / case.name for name in ("baseline", "this")]
    ends = [run(case, one, folder, place / "baseline") for one, folder in zip(checkouts, folders, strict=True)]
    before, after = map(left_by, folders)
    differing = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    problems = [f"{who}: {said}" for who, (_, said) in zip(("baseline", "this"), ends, strict=True) if said]
    problems += [f"{name} differs" for name in differing] + ([] if before else ["nothing was left to compare"])
    files = f"{len(before)} files equal" if not problems else "; ".join(problems)
    print(f"{case.name:<32} CPU {ends[0][0]:6.1f} s -> {ends[1][0]:6.1f} s ({ends[1][0] / ends[0][0]:.2f})  {files}")
    sys.stdout.flush()
    return not problems


def main() -> int:
    """Compare, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--baseline", type=Path, required=True, help="another checkout of this repository")
    parser.add_argument("--only", default="", help="commands whose name this regular expression finds")
    parser.add_argument("--keep", type=Path, help="an empty folder in which everything stays")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = (given.keep or Path(temporary)).resolve()
        place.mkdir(parents=True, exist_ok=True)
        write_rows(place / "rows.jsonl")
        every = list(cases(place / "rows.jsonl"))
        wanted = [case for case in every if re.search(given.only, case.name)]
        asked = " ".join(word for case in wanted for word in case.words)
        needed = [case for case in every if case not in wanted and f"{{baseline}}/{case.name}/" in asked]
        checkouts = (given.baseline.resolve(), REPOSITORY)
        equal = [compare(case, checkouts, place) for case in (*needed, *wanted)]
    print(f"{sum(equal)} of {len(equal)} commands leave the same bits")
    return 0 if equal and all(equal) else 1


if __name__ == "__main__":
    raise SystemExit(main())
