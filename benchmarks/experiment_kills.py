"""What is left of a matrix of runs after SIGKILL: `python benchmarks/experiment_kills.py [NAME] [--kills 10]`.

The experiment is run twice with the same command, in two folders: once to its end, and once killed at random moments
and started again until it ends. A kill takes all of its processes, as a machine that stops does; the command alone,
whose runs then go on without it; or one of the processes behind it, with the rest half a minute later. Results and
report are compared byte by byte, apart from what is about seconds: the page's section on time, `times.*` and
`figures/time_*`.

With an experiment of six runs (`tokens`, the default) it takes about 10 minutes of two cores.
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
from collections.abc import Iterator
from pathlib import Path

from qstar_pl.experiments.report.page import without_times

WAYS = ("all", "all", "command", "one")
"""Of killing."""
FILES = ("results.json", "curves.parquet", "answers.parquet", "distributions.parquet")


def below(pid: int) -> list[int]:
    """Return the processes that a process has begun, and theirs."""
    try:
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
    return [one for child in children for one in (child, *below(child))]


def kill(*pids: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


class Start:
    """One start of `qstar experiment` in a folder; what it says goes to the folder's log."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        words = [
            sys.executable,
            "-m",
            "qstar_pl",
            "experiment",
            options.name,
            "--jobs",
            str(options.jobs),
            "--no_reuse",
        ]
        with (folder / "log.txt").open("a") as log:
            self.process = subprocess.Popen(words, cwd=folder, stdout=log, stderr=log, start_new_session=True)

    def kill(self, way: str, draw: random.Random) -> None:
        """Kill it in one of `WAYS`."""
        behind = below(self.process.pid)
        if way == "one" and behind:
            kill(draw.choice(behind))
            time.sleep(30)
            behind = below(self.process.pid)
        kill(self.process.pid, *([] if way == "command" else behind))
        self.process.wait()


def finish(options: argparse.Namespace, folder: Path) -> float:
    """Start it until it has ended well, and return the seconds of the last start.

    Raises:
        RuntimeError: if it has not after three starts.

    """
    for _ in range(3):
        began = time.perf_counter()
        if Start(options, folder).process.wait() == 0:
            return time.perf_counter() - began
    raise RuntimeError(f"the experiment does not end: {(folder / 'log.txt').read_text()[-2000:]}")


def same_again(results: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (file, its bytes) of all that does not depend on time."""
    for name in FILES:
        if (results / name).exists():
            yield name, (results / name).read_bytes()
    for path in sorted((results / "report").rglob("*")):
        if path.is_file() and not path.name.startswith(("times.", "time_")):
            is_page = path.suffix == ".html"
            content = without_times(path.read_text()).encode() if is_page else path.read_bytes()
            yield str(path.relative_to(results)), content


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", default="tokens")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        whole, killed = Path(name, "whole"), Path(name, "killed")
        whole.mkdir()
        killed.mkdir()
        seconds = finish(options, whole)
        print(f"undisturbed: {seconds:.0f} s", flush=True)
        print(f"{'kill':>5}{'after, s':>10}  what")
        for number in range(options.kills):
            started, moment = Start(options, killed), draw.uniform(0.05, 0.4) * seconds
            try:
                started.process.wait(moment)
                print(f"{number + 1:5d}{moment:10.0f}  nothing: it had ended", flush=True)
            except subprocess.TimeoutExpired:
                way = draw.choice(WAYS)
                started.kill(way, draw)
                print(f"{number + 1:5d}{moment:10.0f}  {way}", flush=True)
        print(f"the last start: {finish(options, killed):.0f} s")
        left, right = (
            dict(same_again(folder / "runs" / "experiments" / f"{options.name}_tiny")) for folder in (killed, whole)
        )
        wrong = [file for file in sorted({*left, *right}) if left.get(file) != right.get(file)]
        print(f"{len(right)} files compared; {f'NOT THE SAME: {wrong}' if wrong else 'all the same, byte for byte'}")
        return int(bool(wrong) or not right)


if __name__ == "__main__":
    sys.exit(main())
