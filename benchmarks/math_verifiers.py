"""The project's comparison of final answers beside math-verify: `python benchmarks/math_verifiers.py [--data DIR]`.

Both judge GSM8K's 1,000 solutions and DeepScaleR's 800 answers, each against its own reference and against the next
row's; the near misses of tests/reference/near_misses.py; and answers that are made to cost time, each in a process of
its own with 60 s and 4 GiB. math-verify must be installed for its column: pip install math-verify.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from reference.near_misses import HOSTILE, NEAR_MISSES  # type: ignore[import-not-found]  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from qstar_pl.data.adapters.deepscaler import DeepScaleR  # noqa: E402
from qstar_pl.data.adapters.gsm8k import GSM8K  # noqa: E402
from qstar_pl.rewards.final_answer import FinalAnswerReward  # noqa: E402

WALL_S = 60.0
MEMORY = 4 * 2**30
Judge = Callable[[str, str], bool]
"""(answer, reference) → whether it is right."""


def ours(answer: str, reference: str) -> bool:
    return FinalAnswerReward().is_right(answer, [reference])


def math_verify(answer: str, reference: str) -> bool:
    """As its documentation shows it, with its own limits of 5 s for each of its three steps."""
    from math_verify import parse, verify

    return bool(verify(parse(rf"\boxed{{{reference}}}"), parse(answer)))


def share(judge: Judge, pairs: Sequence[tuple[str, str]]) -> tuple[int, float]:
    """Return how many are judged right, and seconds."""
    start = time.perf_counter()
    return sum(judge(answer, reference) for answer, reference in pairs), time.perf_counter() - start


def _alone(name: str, text: str, connection: multiprocessing.connection.Connection) -> None:
    judge = JUDGES[name]
    judge("#### 1", "1")  # what is imported is not the answer's cost
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    try:
        said = "right" if judge(text, "2") else "wrong"
    except BaseException as error:
        said = type(error).__name__
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    connection.send((said, time.perf_counter() - start, (after - before) / 1024))


def hostile(name: str, text: str) -> str:
    """Return how a judge fares with one answer: what it says, seconds, and MiB."""
    mine, other = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_alone, args=(name, text, other))
    process.start()
    other.close()
    try:
        said = f"ended after {WALL_S:.0f} s"
        if mine.poll(WALL_S):
            said = "{}, {:.2f} s, {:.0f} MiB".format(*mine.recv())
    except EOFError:
        said = "died"
    process.kill()
    process.join()
    return said


def in_a_thread(judge: Judge) -> str:
    """Return what a right answer is judged where signals cannot be set: a worker thread."""
    said: list[str] = []

    def run() -> None:
        try:
            said.append("right" if judge("#### 1/2", "0.5") else "wrong")
        except BaseException as error:
            said.append(type(error).__name__)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return said[0]


JUDGES: dict[str, Judge] = {"ours": ours, "math-verify": math_verify}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("QSTAR_DATA_DIR", beside)))
    data = parser.parse_args().data
    try:
        import math_verify as _  # noqa: F401
    except ImportError:
        del JUDGES["math-verify"]
        print("math-verify is not installed: its column is left out")
    logging.disable(logging.ERROR)  # math-verify logs each text that it cannot read
    school = GSM8K().read(str(data / "gsm8k" / "train_1000.jsonl.gz")).examples
    contests = DeepScaleR().read(str(data / "deepscaler" / "deepscaler_preview_800.jsonl.gz")).examples
    sets: dict[str, list[tuple[str, str]]] = {}
    for name, texts, right in (
        ("GSM8K solutions", [one.chosen or "" for one in school], [one.metadata["final_answer"] for one in school]),
        (
            "DeepScaleR answers in a box",
            [rf"So it is $\boxed{{{one.metadata['final_answer']}}}$." for one in contests],
            [one.metadata["final_answer"] for one in contests],
        ),
    ):
        sets[f"{name}, own reference"] = list(zip(texts, right, strict=True))
        sets[f"{name}, the next row's"] = list(zip(texts, [*right[1:], right[0]], strict=True))
    table = Table("", *JUDGES)
    for name, pairs in sets.items():
        cells = ["{} right, {:.1f} s".format(*share(judge, pairs)) for judge in JUDGES.values()]
        table.add_row(f"{name}: of {len(pairs)}", *cells)
    missed = {
        name: [one for one in NEAR_MISSES if judge(one[0], one[1]) is not one[2]] for name, judge in JUDGES.items()
    }
    table.add_row(
        "near misses judged as stated",
        *(f"{len(NEAR_MISSES) - len(own)} of {len(NEAR_MISSES)}" for own in missed.values()),
    )
    table.add_row("a right answer, in a thread", *(in_a_thread(judge) for judge in JUDGES.values()))
    for name, text in HOSTILE.items():
        table.add_row(f"hostile: {name}", *(hostile(judge, text) for judge in JUDGES))
    console = Console(width=120)
    console.print(table)
    for name, own in missed.items():
        for answer, reference, right in own:
            said, is_ = ("wrong", "right") if right else ("right", "wrong")
            console.print(f"{name}: {answer} for {reference} is {is_}, judged {said}", markup=False)


if __name__ == "__main__":
    main()
