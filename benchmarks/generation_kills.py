"""What is left of `qstar generate` after SIGKILL: `python benchmarks/generation_kills.py --model_theta A --model_t B`.

An uninterrupted run is the reference. Then, ten times, a fresh run is killed at a random moment between the first file
it makes and its end (as long as the reference took), started again with the same command, and compared byte by byte;
and one run is killed ten times before it may end. With --processes 2 all of that with two processes, killed together,
against the reference of one.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILES = ("{}.jsonl", "{}.diagnostics.jsonl", "{}.run.json", "{}.tokens.parquet")


def command(options: argparse.Namespace, output: Path, processes: int) -> list[str]:
    words = {
        "model_theta": options.model_theta,
        "model_t": options.model_t,
        "dataset": options.dataset,
        "end_idx": options.prompts,
        "batch_size": options.batch_size,
        "samples_per_prompt": options.samples_per_prompt,
        "max_prompt_tokens": 128,
        "max_new_tokens": options.max_new_tokens,
        "device": "cpu",
        "devices": processes,
        "save_diagnostics": "tokens",
        "output": output,
    }
    flags = [word for name, value in words.items() for word in (f"--{name}", str(value))]
    return [sys.executable, "-m", "qstar_pl", "generate", *flags, "--quiet"]


class Run:
    """One process group that can be killed as a whole, as a machine that stops does."""

    def __init__(self, words: list[str], output: Path) -> None:
        self.output = output
        self.work = output.with_name(f"{output.name}.work")
        self.before = self.begun()
        self.process = subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True, text=True
        )

    def begun(self) -> int:
        """Return when a run wrote down what it was asked for, which each does once it has read the data."""
        file = self.work / "run.json"
        return file.stat().st_mtime_ns if file.exists() else 0

    def wait_for_start(self) -> None:
        """Return once this run has touched its files, or has ended."""
        while self.begun() == self.before and self.process.poll() is None:
            time.sleep(0.005)

    def kill_after(self, seconds: float) -> bool:
        """Kill the group after so many seconds; return whether it still ran."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            return True
        return False

    def finish(self) -> float:
        """Wait for the end; return the seconds that this took, and raise if the run failed."""
        started = time.perf_counter()
        _, errors = self.process.communicate()
        if self.process.returncode != 0:
            raise RuntimeError(f"the run ended with {self.process.returncode}: {errors[-2000:]}")
        return time.perf_counter() - started


def kept_rows(run: Run) -> int:
    """Return the whole lines in the shards (a torn last batch counts, though it will be repeated)."""
    if run.output.exists():
        return sum(1 for _ in run.output.open("rb"))
    return sum(path.read_bytes().count(b"\n") for path in run.work.glob("shard-*.jsonl"))


def difference(output: Path, reference: Path) -> str:
    """Return which files differ, or are left; nothing if all is as it should be."""
    found = []
    for name in FILES:
        left, right = (path.with_name(name.format(path.stem)) for path in (output, reference))
        if not left.exists() or left.read_bytes() != right.read_bytes():
            found.append(left.name)
    return " ".join([*found, *(str(path.name) for path in output.parent.glob(f"{output.name}.*"))])


def remove(output: Path) -> None:
    for name in FILES:
        output.with_name(name.format(output.stem)).unlink(missing_ok=True)


def campaign(options: argparse.Namespace, folder: Path, reference: Path, seconds: float) -> int:
    """Kill and resume; return how many outputs differed."""
    draw, different = random.Random(options.seed), 0
    print(f"{'kill':>5}{'at, s':>9}{'share of run':>14}{'rows kept':>11}{'bytes identical':>17}")
    number = 0
    while number < options.kills:
        output = folder / f"kill_{number + 1}.jsonl"
        words = command(options, output, options.processes)
        moment = draw.uniform(0.0, seconds)
        run = Run(words, output)
        run.wait_for_start()
        if not run.kill_after(moment):  # this run was faster: no kill to speak of
            remove(output)
            continue
        number += 1
        kept = kept_rows(run)
        Run(words, output).finish()
        wrong = difference(output, reference)
        different += bool(wrong)
        verdict = f"NO: {wrong}" if wrong else "yes"
        print(f"{number:5d}{moment:9.3f}{moment / seconds:14.0%}{kept:11d}{verdict:>17}", flush=True)
    return different


def chain(options: argparse.Namespace, folder: Path, reference: Path, seconds: float) -> int:
    """Kill one run again and again; return 1 if its output differs in the end."""
    draw, output = random.Random(options.seed + 1), folder / "chain.jsonl"
    words, kept = command(options, output, options.processes), []
    for _ in range(options.kills):
        run = Run(words, output)
        run.wait_for_start()
        run.kill_after(draw.uniform(0.0, 2.0 * seconds / options.kills))
        kept.append(kept_rows(run))
    Run(words, output).finish()
    wrong = difference(output, reference)
    verdict = f"NO: {wrong}" if wrong else "yes"
    print(f"one run killed {options.kills} times: rows kept {kept}; bytes identical: {verdict}")
    return int(bool(wrong))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model_theta", default="tiny/policy")
    parser.add_argument("--model_t", default="tiny/expert")
    parser.add_argument("--dataset", default="tiny")
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--samples_per_prompt", type=int, default=2)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--max_new_tokens", type=int, default=64)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference = folder / "reference.jsonl"
        run = Run(command(options, reference, 1), reference)
        run.wait_for_start()
        seconds = run.finish()
        rows = kept_rows(run)
        print(f"uninterrupted, one process: {rows} rows in {seconds:.1f} s after start-up; {options.model_theta}")
        if options.processes > 1:
            output = folder / "several.jsonl"
            run = Run(command(options, output, options.processes), output)
            run.wait_for_start()
            seconds = run.finish()
            wrong = difference(output, reference)
            verdict = f"NO: {wrong}" if wrong else "yes"
            print(f"uninterrupted, {options.processes} processes: {seconds:.1f} s; bytes identical: {verdict}")
        different = campaign(options, folder, reference, seconds) + chain(options, folder, reference, seconds)
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
