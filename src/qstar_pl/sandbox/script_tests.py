"""Judges a program by what it prints for given inputs: one confined process per input, compared out here."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qstar_pl.sandbox import codec
from qstar_pl.sandbox.comparison import same_output
from qstar_pl.sandbox.function_tests import out_of_time
from qstar_pl.sandbox.limits import MIB, Limits
from qstar_pl.sandbox.sandbox import Report, Run, Sandbox
from qstar_pl.sandbox.verdict import Outcome, Verdict, signal_name

_NOTE_BYTES = 4096


@dataclass(frozen=True)
class Printed:
    """One run of a script."""

    output: bytes
    note: bytes
    """What the program's process says of its failure: good for a name, not for a verdict."""
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
        given_file = _file(_encoded(given), stack)
        source_file = _file(codec.to_bytes(program), stack)
        outputs = [os.pipe() for _ in range(2)]
        (out_read, out_write), (note_read, note_write) = outputs
        for mine in (out_read, note_read):
            stack.callback(os.close, mine)
            os.set_blocking(mine, False)
        try:
            run = sandbox.start("script", limits, [given_file, out_write, note_write, source_file])
        finally:
            for theirs in (out_write, note_write):
                os.close(theirs)
        stack.callback(run.close)
        exchange = _Exchange(run, {out_read: limits.output_mib * MIB, note_read: _NOTE_BYTES})
        exchange.until_the_end()
        output, note = bytes(exchange.received[out_read]), bytes(exchange.received[note_read])
        return Printed(output, note, out_read in exchange.over, run.wait())


def _encoded(text: str) -> bytes:
    """Return a text as UTF-8; surrogates stand for single bytes where they can, and for themselves else."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return text.encode(errors="surrogatepass")


def _file(content: bytes, stack: contextlib.ExitStack) -> int:
    """Return a read-only descriptor of a nameless file that holds `content` and that nobody can change."""
    # Sealed, then opened anew through /proc: a descriptor of memfd_create could write.
    writable = os.memfd_create("input", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        codec.write_all(writable, content)
        fcntl.fcntl(writable, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)
        readable = os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(writable)
    stack.callback(os.close, readable)
    return readable


class _Exchange:
    """Reads from a run until it has ended, or has said too much."""

    def __init__(self, run: Run, caps: Mapping[int, int]) -> None:
        self.run, self.caps = run, caps
        """Most bytes of each descriptor; what exceeds them ends the run."""
        self.received = {descriptor: bytearray() for descriptor in caps}
        self.over: set[int] = set()

    def until_the_end(self) -> None:
        """Read what there is."""
        poll = select.poll()
        for descriptor in (*self.caps, self.run.status):
            poll.register(descriptor, select.POLLIN)
        while True:
            # The report first: all that was written before it is then in the pipes.
            ended = self.run.poll() is not None
            ready = {descriptor for descriptor, _ in poll.poll(0 if ended else 1000)}
            for descriptor in ready & self.caps.keys():
                if not self._read(descriptor, self.caps[descriptor]):
                    poll.unregister(descriptor)
            if ended and not ready & self.caps.keys():
                return

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
    if printed.report.ended == "memory":
        return Outcome.MEMORY, f"its processes used more than {limits.memory_mib} MiB together"
    if out_of_time(printed.report, limits):
        return Outcome.TIMEOUT, "out of time"
    if printed.report.code != 0:
        return _failure(printed)
    # As input is encoded: bytes that are no text equal nothing but themselves.
    if same_output(printed.output, _encoded(expected)):
        return Outcome.PASSED, ""
    shown = printed.output[:80].decode(errors="replace")
    return Outcome.WRONG_ANSWER, f"printed {shown!r}, not {expected[:80]!r}"


def _failure(printed: Printed) -> tuple[Outcome, str]:
    code = printed.report.code
    note = _understood(printed.note)
    if note is None:
        how = f"ended by signal {signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        return Outcome.EXCEPTION, how
    what, kind, text = note
    detail = f"{kind:.80}: {text:.200}"
    if what == "syntax":
        return Outcome.SYNTAX, detail
    return (Outcome.MEMORY if kind == "MemoryError" else Outcome.EXCEPTION), detail


def _understood(note: bytes) -> list[str] | None:
    """Return the three words of a note, None if it says something else, as a program may have it say."""
    try:
        message = codec.from_bytes(note[4:])  # behind the length
    except codec.CodecError:
        return None
    well_formed = isinstance(message, list) and len(message) == 3 and all(isinstance(word, str) for word in message)
    return message if well_formed else None
