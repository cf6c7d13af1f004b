"""Parallel workers, lost launchers, and what a launcher takes with it."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from qstar_pl.sandbox import ExecutionPool, Limits, Outcome, SandboxError, Script, Task
from qstar_pl.sandbox.sandbox import SandboxLost

ECHO = Script("echo", (), [("3\n", "3\n")])
LIMITS = Limits(wall_s=3.0, cpu_s=2)


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_order_and_parallelism() -> None:
    sleepy = "import time\ntime.sleep(0.5)\nprint(input())"
    programs = ["print(input())", "print(4)", sleepy, sleepy, sleepy, sleepy, "print("]
    with ExecutionPool(4, LIMITS) as pool:
        pool.judge([Task(ECHO, programs[0])] * 8)
        started = time.monotonic()
        verdicts = pool.judge(Task(ECHO, program) for program in programs)
        seconds = time.monotonic() - started
    outcomes = [verdict.outcome for verdict in verdicts]
    assert outcomes == [Outcome.PASSED, Outcome.WRONG_ANSWER, *[Outcome.PASSED] * 4, Outcome.SYNTAX]
    assert seconds < 1.5, "four programs that sleep half a second each"


def test_a_lost_launcher_is_replaced() -> None:
    with ExecutionPool(1, LIMITS) as pool:
        (first,) = pool._all
        threading.Timer(0.3, os.kill, (first.process.pid, signal.SIGKILL)).start()
        verdict = pool.judge([Task(ECHO, "import time\ntime.sleep(0.8)\nprint(input())")])[0]
        assert verdict.passed
        assert first not in pool._all
        assert not alive(first.process.pid)


def test_a_program_whose_sandbox_is_always_lost_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*arguments: object, **options: object) -> None:
        raise SandboxLost

    with ExecutionPool(1, LIMITS) as pool:
        monkeypatch.setattr(Script, "judge", lose)
        verdict = pool.judge([Task(ECHO, "print(3)")])[0]
        assert (verdict.outcome, verdict.share) == (Outcome.EXCEPTION, 0.0)
        assert not pool._all


def test_a_forgotten_pool_ends_its_launchers() -> None:
    pool = ExecutionPool(1, LIMITS)
    process = next(iter(pool._all)).process.pid
    assert alive(process)
    del pool
    gc.collect()
    assert not alive(process)


def test_a_closed_pool_starts_nothing() -> None:
    pool = ExecutionPool(1, LIMITS)
    pool.close()
    pool.close()
    with pytest.raises(RuntimeError):
        pool.judge([Task(ECHO, "print(3)")])
    with pytest.raises(RuntimeError, match="closed"):
        pool._start()


def test_close_ends_the_launchers() -> None:
    pool = ExecutionPool(2, LIMITS)
    pool.judge([Task(ECHO, "print(3)")] * 4)
    processes = [sandbox.process.pid for sandbox in pool._all]
    assert all(map(alive, processes))
    pool.close()
    assert not any(map(alive, processes))


def test_a_killed_caller_leaves_nothing() -> None:
    code = (
        "from qstar_pl.sandbox import *\n"
        "pool = ExecutionPool(1, Limits(wall_s=30.0))\n"
        "print(next(iter(pool._all)).process.pid, flush=True)\n"
        "pool.judge([Task(Script('x', (), [('', '')]), 'import time; time.sleep(25)')])\n"
    )
    caller = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert caller.stdout is not None
    launcher = int(caller.stdout.readline())
    children = Path(f"/proc/{launcher}/task/{launcher}/children")
    end = time.monotonic() + 10
    while not (started := children.read_text().split()) and time.monotonic() < end:
        time.sleep(0.05)
    assert started
    caller.kill()
    caller.wait()
    caller.stdout.close()
    end = time.monotonic() + 5
    while any(map(alive, [launcher, *map(int, started)])) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(alive, [launcher, *map(int, started)]))


def test_a_forked_copy_of_the_caller_disturbs_nobody() -> None:
    """Data loaders fork: a copy of our pipes' ends in another process must not keep a run from ending."""
    with ExecutionPool(1, LIMITS) as pool:
        threading.Timer(0.2, lambda: copies.append(os.fork() or time.sleep(3) or os._exit(0))).start()  # type: ignore[func-returns-value]
        copies: list[int] = []
        verdict = pool.judge([Task(ECHO, "import time\ntime.sleep(0.5)\nprint(input())")])[0]
        assert verdict.passed
        assert verdict.seconds < 2.0
        for copy in copies:
            os.kill(copy, signal.SIGKILL)
            os.waitpid(copy, 0)


def test_workers_must_be_positive() -> None:
    with pytest.raises(SandboxError, match="workers must be at least 1, got 0"):
        ExecutionPool(0)


def test_imports_nothing_heavy() -> None:
    heavy = {"torch", "lightning", "transformers", "numpy"}
    code = f"import sys, qstar_pl.sandbox\nprint(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
