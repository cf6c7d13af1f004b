"""Judges a program by what it prints for given inputs: one confined process per input, compared out here."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from qstar_pl.execution import codec
from qstar_pl.execution.comparison import same_output
from qstar_pl.execution.function_tests import out_of_time
from qstar_pl.execution.limits import MIB, Limits
from qstar_pl.execution.sandbox import Report, Run, Sandbox
from qstar_pl.execution.verdict import Outcome, Verdict

_NOTE_BYTES = 4096


@dataclass(frozen=True)
class Printed:
    """One run of a script."""

    output: bytes
    note: bytes
    """What the program's process says of its failure; not to be trusted with more than a name for it."""
    too_much: bool
    """It printed more than it may."""
    report: Report


def judge_script(
    program: str,
    tests: Sequence[tuple[str, str]],
    sandbox: Sandbox,
    limits: Limits,
    *,
    every_test: bool = False,
) -> Verdict:
    """Run a program once per (input, expected output); it passes an input if it ends with code 0 and prints the output.

    Raises:
        SandboxLost: if the launcher has gone.

    """
    started = time.monotonic()
    passed, first = 0, (Outcome.PASSED, "")
    for given, expected in tests:
        outcome, detail = _compare(run_script(program, given, sandbox, limits), expected, limits)
        if outcome is Outcome.PASSED:
            passed += 1
        elif first[0] is Outcome.PASSED:
            first = (outcome, detail)
            if not every_test:
                break
    if not tests:
        first = (Outcome.BROKEN_TESTS, "there are no tests")
    return Verdict(*first, passed, max(len(tests), 1), time.monotonic() - started)


def run_script(program: str, given: str, sandbox: Sandbox, limits: Limits) -> Printed:
    """Run a program with `given` on its standard input until it ends, prints too much or is out of time.

    Raises:
        SandboxLost: if the launcher has gone.

    """
    with contextlib.ExitStack() as stack:
        pipes = [os.pipe() for _ in range(3)]
        descriptors = {end for pipe in pipes for end in pipe}
        stack.callback(_close_all, descriptors)
        (in_read, in_write), (out_read, out_write), (note_read, note_write) = pipes
        run = sandbox.start("script", limits, [in_read, out_write, note_write])
        stack.callback(run.close)
        for theirs in (in_read, out_write, note_write):
            descriptors.remove(theirs)
            os.close(theirs)
        for mine in (in_write, out_read, note_read):
            os.set_blocking(mine, False)
        exchange = _Exchange(run, codec.to_bytes(program) + given.encode(errors="surrogateescape"), in_write)
        caps = {out_read: limits.output_mib * MIB, note_read: _NOTE_BYTES}
        exchange.until_the_end(caps, descriptors)
        output, note = bytes(exchange.received[out_read]), bytes(exchange.received[note_read])
        return Printed(output, note, out_read in exchange.over, run.wait())


def _close_all(descriptors: set[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


class _Exchange:
    """Feeds a run and reads from it, as the pipes allow, so that neither side waits for the other for ever."""

    def __init__(self, run: Run, given: bytes, feed: int) -> None:
        self.run, self.feed = run, feed
        self.left = memoryview(given)
        self.received: dict[int, bytearray] = {}
        self.over: set[int] = set()

    def until_the_end(self, caps: dict[int, int], descriptors: set[int]) -> None:
        """Read up to `caps` bytes from each descriptor; what exceeds them ends the run."""
        self.received = {descriptor: bytearray() for descriptor in caps}
        poll = select.poll()
        poll.register(self.feed, select.POLLOUT)
        for descriptor in (*caps, self.run.status):
            poll.register(descriptor, select.POLLIN)
        while True:
            # The report first: all that was written before it is then in the pipes.
            ended = self.run.poll() is not None
            ready = {descriptor for descriptor, _ in poll.poll(0 if ended else 1000)}
            if self.feed in ready and not self._write():
                poll.unregister(self.feed)
                descriptors.remove(self.feed)
                os.close(self.feed)
            for descriptor in ready & caps.keys():
                if not self._read(descriptor, caps[descriptor]):
                    poll.unregister(descriptor)
            if ended and not ready & caps.keys():
                return

    def _write(self) -> bool:
        """Return whether there is more to write."""
        try:
            self.left = self.left[os.write(self.feed, self.left[: 1 << 16]) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False
        return bool(self.left)

    def _read(self, descriptor: int, cap: int) -> bool:
        """Return whether there may be more to read."""
        part = os.read(descriptor, 1 << 16)
        self.received[descriptor] += part
        if len(self.received[descriptor]) > cap:
            self.over.add(descriptor)
            self.run.stop()
            return False
        return bool(part)


def _compare(printed: Printed, expected: str, limits: Limits) -> tuple[Outcome, str]:
    if printed.too_much:
        return Outcome.OUTPUT_LIMIT, f"it printed more than {limits.output_mib} MiB"
    if out_of_time(printed.report, limits):
        return Outcome.TIMEOUT, "out of time"
    if printed.report.code != 0:
        return _failure(printed)
    if same_output(printed.output.decode(errors="replace"), expected):
        return Outcome.PASSED, ""
    shown = printed.output[:80].decode(errors="replace")
    return Outcome.WRONG_ANSWER, f"printed {shown!r}, not {expected[:80]!r}"


def _failure(printed: Printed) -> tuple[Outcome, str]:
    code = printed.report.code
    try:
        what, kind, text = codec.from_bytes(printed.note[4:])
        detail = f"{kind!s:.80}: {text!s:.200}"
    except (codec.CodecError, ValueError, TypeError):
        how = f"ended by signal {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return Outcome.EXCEPTION, how
    if what == "syntax":
        return Outcome.SYNTAX, detail
    return (Outcome.MEMORY if kind == "MemoryError" else Outcome.EXCEPTION), detail
