"""Judges a program by calls of its function: tests in one confined process, the program in another."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from qstar_pl.sandbox import codec
from qstar_pl.sandbox.limits import Limits
from qstar_pl.sandbox.sandbox import Report, Run, Sandbox, readable_within
from qstar_pl.sandbox.tester import GRACE_S
from qstar_pl.sandbox.verdict import Outcome, Verdict, signal_name


@dataclass(frozen=True)
class Said:
    """What the process of the tests says at its end."""

    kind: str
    """A key of `OUTCOMES`, or "gone": the program has ended before it answered."""
    detail: str
    passed: int
    total: int


OUTCOMES = {
    "passed": Outcome.PASSED,
    "wrong": Outcome.WRONG_ANSWER,
    "exception": Outcome.EXCEPTION,
    "timeout": Outcome.TIMEOUT,
    "memory": Outcome.MEMORY,
    "output": Outcome.OUTPUT_LIMIT,
    "syntax": Outcome.SYNTAX,
    "protocol": Outcome.EXCEPTION,
    "tests": Outcome.BROKEN_TESTS,
}
_SIZE_OF_VERDICT = 1 << 20
_MOST_TESTS = 10**9
_LINGER_S = 0.2
"""How long a program that has hung up gets to end, so that its report can tell why."""


def judge_calls(job: Mapping[str, Any], sandbox: Sandbox, limits: Limits) -> Verdict:
    """Run a job of `tester.py` (its "kind" names which) and return the tester's verdict.

    Raises:
        SandboxLost: if the launcher has gone.

    """
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        to_program, from_program, to_tester, verdict = (_Pipe(stack) for _ in range(4))
        program = _start(stack, sandbox, "calls", limits, [to_program.read, from_program.write])
        # The tester's own alarm rings GRACE_S before this deadline, and so GRACE_S after the program's.
        longer = replace(limits, wall_s=limits.wall_s + 2 * GRACE_S, cpu_s=limits.cpu_s + 1)
        channels = [to_tester.read, verdict.write, from_program.read, to_program.write]
        tester = _start(stack, sandbox, "tests", longer, channels)
        # An end that is kept here would hold a pipe open after its process has gone.
        for pipe, mine in ((to_program, ""), (from_program, ""), (to_tester, "write"), (verdict, "read")):
            pipe.keep_only(mine)
        said = _hear(codec.to_bytes(dict(job)), to_tester, verdict, tester)
        if said is None or said.kind == "gone":
            readable_within(program.status, _LINGER_S)
        program.stop()
        tester.stop()
        reports = program.wait(), tester.wait()
    return _verdict(said, *reports, limits, time.monotonic() - started)


class _Pipe:
    """Two descriptors, each closed once."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.read, self.write = os.pipe()
        self._open = {"read": self.read, "write": self.write}
        stack.callback(self.keep_only, "")

    def keep_only(self, end: str) -> None:
        for name in list(self._open):
            if name != end:
                os.close(self._open.pop(name))


def _start(stack: contextlib.ExitStack, sandbox: Sandbox, role: str, limits: Limits, channels: list[int]) -> Run:
    run = sandbox.start(role, limits, channels)
    stack.callback(run.close)
    return run


def understood(message: Any) -> Said | None:
    """Return what a message of the tester's says, None if it is malformed: a stranger may have written it."""
    if not (isinstance(message, list) and len(message) == 4 and all(isinstance(part, str) for part in message[:2])):
        return None
    kind, detail, passed, total = message
    whole = all(type(count) is int for count in (passed, total))
    if (kind not in OUTCOMES and kind != "gone") or not whole or not 0 <= passed <= total <= _MOST_TESTS or total < 1:
        return None
    return Said(kind, detail, passed, total)


def _hear(job: bytes, to_tester: _Pipe, verdict: _Pipe, tester: Run) -> Said | None:
    """Send the job and return what the tester says, None if it ended without a word; it ends at its deadline."""
    # A job may be larger than a pipe holds, and the tester may end without reading it.
    os.set_blocking(to_tester.write, False)
    os.set_blocking(verdict.read, False)
    left, received = memoryview(job), b""
    poll = select.poll()
    poll.register(to_tester.write, select.POLLOUT)
    poll.register(verdict.read, select.POLLIN)
    poll.register(tester.status, select.POLLIN)
    while len(received) < _SIZE_OF_VERDICT:
        ready = {descriptor for descriptor, _ in poll.poll(1000)}
        if to_tester.write in ready:
            try:
                left = left[os.write(to_tester.write, left) :]
            except BrokenPipeError:
                left = left[:0]
            if not left:
                poll.unregister(to_tester.write)
                to_tester.keep_only("")
        if verdict.read in ready:
            part = os.read(verdict.read, 65536)
            received += part
            if not part:
                break
            if len(received) >= 4 and len(received) == 4 + int.from_bytes(received[:4], "big"):
                with contextlib.suppress(codec.CodecError):
                    return understood(codec.from_bytes(received[4:]))
                break
        elif tester.poll() is not None:  # nothing to read, and nobody left to write
            break
    return None


def _verdict(said: Said | None, program: Report, tester: Report, limits: Limits, seconds: float) -> Verdict:
    if said is not None and said.kind in OUTCOMES:
        return Verdict(OUTCOMES[said.kind], said.detail, said.passed, said.total, seconds)
    passed, total = (said.passed, said.total) if said is not None else (0, 1)
    if said is None and not out_of_time(tester, limits) and tester.ended == "exit":
        detail = f"the tests ended with code {tester.code} without a verdict"
        return Verdict(Outcome.BROKEN_TESTS, detail, passed, total, seconds)
    if program.ended == "memory":
        detail = f"its processes used more than {limits.memory_mib} MiB together"
        return Verdict(Outcome.MEMORY, detail, passed, total, seconds)
    if said is None or out_of_time(program, limits):
        return Verdict(Outcome.TIMEOUT, "out of time", passed, total, seconds)
    return Verdict(Outcome.EXCEPTION, how_it_ended(program), passed, total, seconds)


def out_of_time(report: Report, limits: Limits) -> bool:
    """Return whether a run ended because of its deadline or its processor time."""
    # SIGKILL alone tells nothing (the kernel also sends it when memory is short); the time used does.
    used_up = report.code in (-signal.SIGXCPU, -signal.SIGKILL) and report.cpu_s >= limits.cpu_s - 0.5
    return report.ended == "deadline" or used_up


def how_it_ended(report: Report) -> str:
    """Return one line on the end of a run."""
    if report.ended == "stopped":
        return "it closed its channel before it answered"
    if report.code < 0:
        return f"it was ended by {signal_name(-report.code)} before it answered"
    return f"it ended with exit code {report.code} before it answered"
