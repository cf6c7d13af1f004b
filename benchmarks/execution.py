"""How many programs per second are judged: `python benchmarks/execution.py [--problems HumanEval.jsonl.gz]`.

Prints the walls that stand on this machine, and programs/s for each number of workers: (1) a one-line script with one
input (one confined process), (2) a function with three calls (two: the program's and the tests'), and (3) the reference
solutions of a file of problems, where one is given. Beside them (4) what a bare `python -c` costs, without any wall.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from qstar_pl.evaluation.samples import read_problems
from qstar_pl.execution import CheckedFunction, ExecutionPool, Layers, Limits, Script, Task, usable_cores

SCRIPT = Task(Script("script", (), [("21\n", "42\n")]), "print(2 * int(input()))")
FUNCTION = Task(
    CheckedFunction(
        "function",
        (),
        "def double(x):\n    '''Return twice x.'''\n",
        "double",
        "def check(candidate):\n" + "".join(f"    assert candidate({x}) == {2 * x}\n" for x in range(3)),
    ),
    "def double(x):\n    return x + x\n",
)


def rate(pool: ExecutionPool, tasks: Sequence[Task]) -> float:
    """Return programs per second; all of them must pass."""
    pool.judge([SCRIPT] * pool.workers)
    started = time.monotonic()
    verdicts = pool.judge(tasks)
    seconds = time.monotonic() - started
    assert all(verdict.passed for verdict in verdicts), [verdict for verdict in verdicts if not verdict.passed]
    return len(tasks) / seconds


def bare_rate(workers: int, count: int) -> float:
    """Return how many interpreters per second can be started and ended."""
    words = [sys.executable, "-I", "-S", "-c", "print(2 * int(input()))"]
    started = time.monotonic()
    with ThreadPoolExecutor(workers) as threads:
        list(threads.map(lambda _: subprocess.run(words, input=b"21\n", capture_output=True, check=True), range(count)))
    return count / (time.monotonic() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    options = parser.parse_args()
    references = []
    if options.problems is not None:
        problems = read_problems(options.problems).by_key.values()
        references = [Task(problem, program) for problem in problems for program in problem.references]
    print(f"{usable_cores()} usable cores; programs per second")
    print(f"{'walls':14}{'workers':>8}{'script':>9}{'function':>10}{'references':>12}{'python -c':>11}")
    for name, layers in (("all", Layers()), ("no namespaces", Layers(namespaces=False))):
        for workers in options.workers:
            with ExecutionPool(workers, Limits(wall_s=20.0), layers) as pool:
                columns = [f"{rate(pool, [task] * options.count):.0f}" for task in (SCRIPT, FUNCTION)]
                columns.append(f"{rate(pool, references):.0f}" if references else "-")
            bare = f"{bare_rate(workers, options.count):.0f}"
            print(f"{name:14}{workers:8d}{columns[0]:>9}{columns[1]:>10}{columns[2]:>12}{bare:>11}")
    with ExecutionPool(1) as pool:
        print(pool.isolation.describe())


if __name__ == "__main__":
    main()
