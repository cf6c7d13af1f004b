"""Whatever a program has its process say, the host has a verdict that can be printed and written, and goes on."""

import json
import random
import subprocess
import sys
from dataclasses import replace

import pytest

from qstar_pl.sandbox import (
    CheckedFunction,
    Limits,
    Outcome,
    Script,
    Task,
    Verdict,
    codec,
    function_tests,
    graph,
    sandbox,
    script_tests,
)
from qstar_pl.sandbox.comparison import same_output, same_value
from qstar_pl.sandbox.sandbox import Report
from qstar_pl.sandbox.verdict import signal_name

LIMITS = Limits()
WORDS = [
    *["passed", "gone", "wrong", "raised", "syntax", "MemoryError", "exit", "memory", "", "x" * 5000],
    *[
        "\x1b[2J",
        "\ud800",
        "\0\r\n\x07",
        "@",
        "list",
        "tuple",
        "mine",
        "yours",
        "instance",
        "exception",
        "named",
        "int",
    ],
    *[0, 1, -1, 2**70, 1e999, -0.0, float("nan"), True, None, 10**400],
]


def anything(draw, depth=3):
    """Return something that JSON can say."""
    if depth == 0 or draw.random() < 0.4:
        return draw.choice(WORDS)
    items = [anything(draw, depth - 1) for _ in range(draw.randrange(6))]
    return items if draw.random() < 0.8 else {str(number): item for number, item in enumerate(items)}


def likely(draw):
    """Return something near what is meant to be said."""
    some = lambda: anything(draw, 1)  # noqa: E731
    return draw.choice(
        [
            lambda: [some(), some(), some(), some()],
            lambda: ["passed", "", draw.randrange(-1, 4), draw.randrange(-1, 4)],
            lambda: ["gave", [[some()], [[some(), some(), some(), [some()]]]]],
            lambda: ["gave", [[["@", 1]], [[draw.choice(WORDS), 1, some(), [some(), ["@", draw.randrange(4)]]]]]],
            lambda: [
                "raised",
                "",
                some(),
                some(),
                [[["@", 1]], [["exception", 1, [some(), [some()], some(), 1], [1]]]],
            ],
            lambda: {"ended": some(), "code": some(), "cpu_s": some(), "peak_mib": some()},
            lambda: {"ended": "exit", "code": draw.randrange(-70, 9), "cpu_s": 0.1, "peak_mib": 1},
            lambda: ["raised", some(), some()],
        ]
    )()


def garbled(draw, body):
    changed = bytearray(body)
    for _ in range(draw.randrange(4)):
        if changed:
            changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed[: draw.randrange(len(changed) + 1)] if draw.random() < 0.2 else changed)


def hear(draw):
    message = anything(draw) if draw.random() < 0.4 else likely(draw)
    body = json.dumps(message).encode()
    body = garbled(draw, body) if draw.random() < 0.4 else body
    report = Report("exit", draw.choice([0, 1, -9, -34, -63, -64, 70]), 0.1, 1.0)
    verdicts = []
    line = sandbox.understood(body)
    if line is not None:
        verdicts.append(function_tests._verdict(None, line, line, LIMITS, 0.0))
        report = replace(report, code=line.code)
    try:
        heard = codec.from_bytes(body)
    except codec.CodecError:
        heard = None
    said = function_tests.understood(heard)
    verdicts.append(function_tests._verdict(said, report, report, LIMITS, 0.0))
    note = len(body).to_bytes(4, "big") + body
    printed = script_tests.Printed(body, note, False, report)
    verdicts.append(Verdict(*script_tests._compare(printed, "expected \ud83d", LIMITS), 0, 1, 0.0))
    same_output(body, b"1.5 2e308 nan")
    if isinstance(heard, list) and len(heard) > 1:
        side = graph.Graph(0, lambda *words: words)
        side.pack([[1], (2,), {"a": 3}], everything=False)
        try:
            for value in side.unpack(heard[-1]):
                same_value(value, [1.5])
        except codec.CodecError:
            pass
    for verdict in verdicts:
        assert isinstance(verdict.outcome, Outcome)
        assert 0.0 <= verdict.share <= 1.0
        assert verdict.detail.isprintable()
        verdict.detail.encode()


@pytest.mark.parametrize("count", [5000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_nothing_that_is_said_raises(count):
    draw = random.Random(count)
    for number in range(count):
        try:
            hear(draw)
        except Exception as error:
            pytest.fail(f"report {number}: {error!r}")


@pytest.mark.parametrize(
    "line",
    [b"", b"{}\n", b"[" * 99_999, b'{"ended": []}', b"\xff", b"5", b'{"ended": "exit", "code": 1e999, "cpu_s": 0}'],
)
def test_what_is_no_report(line):
    assert sandbox.understood(line) is None


def ends_a_process(number):
    """Ask this machine: the C library keeps 32 and 33 for itself on some, and there a process lives through them."""
    line = f"import os; os.kill(os.getpid(), {number})"
    return subprocess.run([sys.executable, "-c", line], check=False, timeout=60).returncode != 0


@pytest.mark.parametrize("number", [31, 32, 33, 34, 50, 63, 64])
def test_a_program_that_ends_by_any_signal_gets_a_verdict(pool, number):
    sends = f"import os\nos.kill(os.getpid(), {number})\n"
    ends = ends_a_process(number)
    assert ends or number in (32, 33)
    # A program that lives through its signal prints what is expected of it.
    verdict = pool.judge([Task(Script("s", (), [("", "on")]), f"{sends}print('on')\n")])[0]
    ended = (Outcome.EXCEPTION, f"ended by signal {signal_name(number)}")
    assert (verdict.outcome, verdict.detail) == (ended if ends else (Outcome.PASSED, ""))
    test = "def check(candidate):\n    assert candidate() == 1\n"
    problem = CheckedFunction("f", (), "def f():\n    pass\n", "f", test)
    body = sends.replace("\n", "\n    ")
    verdict = pool.judge([Task(problem, f"def f():\n    {body}return 1\n")])[0]
    assert verdict.outcome is (Outcome.EXCEPTION if ends else Outcome.PASSED)
    assert not ends or signal_name(number) in verdict.detail


def test_what_is_printed_may_be_anything(pool):
    def judged(program, expected):
        return pool.judge([Task(Script("s", (), [("", expected)]), program)])[0]

    raw = "import os\nos.write(1, bytes(range(256)) + b'\\xed\\xa0\\x80')"
    verdict = judged(raw, "x")
    assert verdict.outcome is Outcome.WRONG_ANSWER
    assert verdict.detail.isprintable()
    assert judged("import os\nos.write(1, b'\\xff')", "\udcff").passed
    assert not judged("import os\nos.write(1, b'\\xff')", "\ufffd").passed
    assert judged("print('\\ud83d'.encode(errors='surrogatepass').decode(errors='surrogateescape'))", "\ud83d").passed
    assert not judged("print('1\\x1c2')", "1\n2").passed
