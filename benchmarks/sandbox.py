"""How many programs per second are judged: `python benchmarks/sandbox.py [--problems HumanEval.jsonl.gz]`.

Prints the walls that stand on this machine, and programs/s for each number of workers: (1) a one-line script with one
input (one confined process), (2) a function with three calls (two: the program's and the tests'), and (3) the reference
solutions of a file of problems, where one is given. Beside them (4) what a bare `python -c` costs, without any wall.

With `--baseline`, a checkout of another version of this project, both versions take turns instead, each in a process of
its own: `git worktree add ../before REVISION`, then `--baseline ../before`. Printed is the processor time per program
of the judge and all its processes, which other programs on this machine lengthen less than the time on the clock.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from qstar_pl.evaluation.samples import read_problems
from qstar_pl.sandbox import CheckedFunction, ExecutionPool, Layers, Limits, Script, Task, usable_cores

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


def processor_time(tasks: Sequence[Task]) -> float:
    """Return the processor time in ms of a pool of one, from its start to its end; all tasks must pass."""
    before = sum(os.times()[:4])
    with ExecutionPool(1, Limits(wall_s=60.0)) as pool:
        verdicts = pool.judge(tasks)
    assert all(verdict.passed for verdict in verdicts), [verdict for verdict in verdicts if not verdict.passed]
    return (sum(os.times()[:4]) - before) * 1e3


def serve(jobs: Mapping[str, Sequence[Task]]) -> None:
    """Do one of the jobs for every line that names it, and answer with its processor time."""
    processor_time([SCRIPT])
    for line in sys.stdin:
        print(processor_time(jobs[line.strip()]), flush=True)


def ask(server: subprocess.Popen[str], job: str) -> float:
    """Return the processor time in ms that one more run of a job takes."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(job + "\n")
    server.stdin.flush()
    return float(server.stdout.readline())


def print_before_and_after(baseline: Path, jobs: Mapping[str, Sequence[Task]], repeats: int) -> None:
    """Let both versions take turns at each job; ratios are those of neighbors."""
    servers = {}
    for name, checkout in (("before", baseline), ("after", Path(__file__).parents[1])):
        environment = {**os.environ, "PYTHONPATH": str(checkout.resolve() / "src")}
        command = [sys.executable, __file__, "--serve", *sys.argv[1:]]
        pipe = subprocess.PIPE
        servers[name] = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)
    print(f"processor time per program, medians of {repeats} turns")
    for job, tasks in jobs.items():
        times: dict[str, list[float]] = {name: [] for name in servers}
        for repeat in range(repeats):
            for name in sorted(servers, reverse=bool(repeat % 2)):
                start = ask(servers[name], "start")
                whole = ask(servers[name], job)
                times[name].append(start if job == "start" else (whole - start) / len(tasks))
        before, after = (statistics.median(times[name]) for name in ("before", "after"))
        ratios = sorted(new / old for old, new in zip(times["before"], times["after"], strict=True))
        print(
            f"{job:11}{before:8.2f} ms before{after:8.2f} ms after; after / before {statistics.median(ratios):.3f} "
            f"({ratios[0]:.3f} to {ratios[-1]:.3f}), of the least {min(times['after']) / min(times['before']):.3f}",
            flush=True,
        )
    for server in servers.values():
        server.communicate()


def print_rates(references: Sequence[Task], numbers: Sequence[int], count: int) -> None:
    """Print programs per second for each number of workers, with and without namespaces."""
    print(f"{usable_cores()} usable cores; programs per second")
    print(f"{'walls':14}{'workers':>8}{'script':>9}{'function':>10}{'references':>12}{'python -c':>11}")
    for name, layers in (("all", Layers()), ("no namespaces", Layers(namespaces=False))):
        for workers in numbers:
            with ExecutionPool(workers, Limits(wall_s=20.0), layers) as pool:
                columns = [f"{rate(pool, [task] * count):.0f}" for task in (SCRIPT, FUNCTION)]
                columns.append(f"{rate(pool, references):.0f}" if references else "-")
            bare = f"{bare_rate(workers, count):.0f}"
            print(f"{name:14}{workers:8d}{columns[0]:>9}{columns[1]:>10}{columns[2]:>12}{bare:>11}")
    with ExecutionPool(1) as pool:
        print(pool.isolation.describe())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--baseline", type=Path, help="checkout of another version, to be compared with this one")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each version with --baseline")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    references = []
    if options.problems is not None:
        problems = read_problems(options.problems).by_key.values()
        references = [Task(problem, program) for problem in problems for program in problem.references]
    jobs = {"start": [], "script": [SCRIPT] * options.count, "function": [FUNCTION] * options.count}
    jobs |= {"references": references} if references else {}
    if options.serve:
        serve(jobs)
    elif options.baseline is not None:
        print_before_and_after(options.baseline, jobs, options.repeats)
    else:
        print_rates(references, options.workers, options.count)


if __name__ == "__main__":
    main()
