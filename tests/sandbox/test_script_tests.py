import pytest

from qstar_pl.sandbox import Outcome, Script, Task

TESTS = [("1\n", "2\n"), ("5\n", "10\n"), ("-3\n", "-6\n")]


def judged(pool, program, tests=TESTS, every_test=False):
    return pool.judge([Task(Script("key", (), tests), program)], every_test=every_test)[0]


@pytest.mark.parametrize(
    "program",
    [
        "print(2 * int(input()))",
        "import sys\nfor line in sys.stdin: print(int(line) * 2)",
        "import sys\nsys.stdout.write(str(2 * int(sys.stdin.readline())))",
        "import os\nos.write(1, b'%d' % (2 * int(os.read(0, 99))))",
        "print(int(open(0).read()) * 2)",
        "def main():\n    print(2 * int(input()))\nif __name__ == '__main__':\n    main()",
        "print(2 * int(input()))\nexit()",
        "import sys\nprint(2 * int(input()))\nsys.exit(0)",
        "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(2**26)\n"
        "threading.Thread(target=lambda: print(2 * int(input()))).start()",
        "import atexit\natexit.register(lambda: print(2 * int(input())))",
        "n = int(input())\nif n:\n    print(2 * n)\n    return",
        "import io, os\ninput = io.BytesIO(os.read(0, os.fstat(0).st_size or 99)).readline\nprint(2 * int(input()))",
        "import sys\nprint('note', file=sys.stderr)\nprint(2 * int(input()))",
        # Standard input is a file, as behind `<`.
        "import os\nprint(2 * int(os.read(0, os.fstat(0).st_size)))",
        "import os, io\nf = io.StringIO(os.read(0, os.fstat(0).st_size).decode())\nprint(2 * int(f.readline()))",
        "from sys import stdin\nstdin.seek(0, 2)\nn = stdin.tell()\nstdin.seek(0)\nprint(2 * int(stdin.read(n)))",
        "import mmap\nprint(2 * int(mmap.mmap(0, 0, access=mmap.ACCESS_READ)[:]))",
        # The end of a program is Python's own.
        "import sys\nprint(2 * int(input()))\nsys.stdout.close()",
        "import sys\nprint(2 * int(input()))\nsys.stdout.flush()\nsys.stdout = None",
        "import os\nout = os.fdopen(1, 'w')\nout.write(str(2 * int(input())))",
        "import io, os\nout = io.BufferedWriter(io.FileIO(1, 'w'))\nout.write(b'%d' % (2 * int(input())))",
        "import atexit\nn = int(input())\natexit.register(lambda: 1 // 0)\nprint(2 * n)",
        # Written as the body of a function.
        "n = int(input())\ndef f():\n    nonlocal n\n    n *= 2\nf()\nprint(n)",
        "n = int(input())\nk = 0\ndef f():\n    k = 1\n    def g():\n        nonlocal k, n\n        n += n * k\n"
        "    g()\nf()\nprint(n)\nreturn",
        "nonlocal n\nn = int(input())\nprint(2 * n)",
        "from math import *\ndef f():\n    global n\n    n = 2 * int(input())\nf()\nprint(floor(n))\nreturn 0",
    ],
)
def test_right_programs_pass(pool, program):
    verdict = judged(pool, program)
    assert verdict.passed, verdict
    assert (verdict.passed_tests, verdict.tests) == (3, 3)


@pytest.mark.parametrize(
    ("program", "outcome", "detail"),
    [
        ("print(2)", Outcome.WRONG_ANSWER, "printed '2\\n'"),
        ("", Outcome.WRONG_ANSWER, "printed ''"),
        ("for n in range(-99, 99): print(n)", Outcome.WRONG_ANSWER, ""),
        ("print(2 * int(input()))\nexit(1)", Outcome.EXCEPTION, "exit code 1"),
        ("print(2 * int(input()), flush=True)\n1 // 0", Outcome.EXCEPTION, "ZeroDivisionError"),
        ("print(2 * int(input()), flush=True)\nwhile True: pass", Outcome.TIMEOUT, ""),
        ("import os\nos.close(1)", Outcome.WRONG_ANSWER, "printed ''"),
        ("import os\nos.abort()", Outcome.EXCEPTION, "SIGABRT"),
        ("print(", Outcome.SYNTAX, "SyntaxError"),
        ("import os\nprint(2)\nos.close(1)", Outcome.EXCEPTION, "exit code 120"),
        ("def f():\n    nonlocal\nf()", Outcome.SYNTAX, "SyntaxError"),
        ("import os\nos.write(0, b'x')", Outcome.EXCEPTION, "OSError"),
        ("return (", Outcome.SYNTAX, ""),
        ("bytearray(2**29)", Outcome.MEMORY, "MemoryError"),
        ("while True: print('x' * 9999)", Outcome.OUTPUT_LIMIT, "1 MiB"),
        ("raise SystemExit('bye')", Outcome.EXCEPTION, "exit code 1"),
        ("import os\nos.write(3, b'\\0\\0\\0\\3abc')\nos._exit(1)", Outcome.EXCEPTION, "exit code 1"),
        ("import os\nos.write(3, b'x' * 60000)\nos._exit(1)", Outcome.EXCEPTION, ""),
        ("import os\nos.write(1, bytes(range(256)))", Outcome.WRONG_ANSWER, ""),
    ],
)
def test_how_a_program_fails(pool, program, outcome, detail):
    verdict = judged(pool, program)
    assert verdict.outcome is outcome, verdict
    assert detail in verdict.detail


def test_numbers_of_many_digits(pool):
    tests = [("5000\n", "1" + "0" * 5000 + "\n")]
    assert judged(pool, "print(10 ** int(input()))", tests).passed
    assert judged(pool, "n = int(input())\nprint(int(str(10 ** n)))", tests).passed
    assert judged(pool, "print(2 * int(input()))", [("7" * 5000, "1" + "5" * 4999 + "4")]).passed
    assert not judged(pool, "print(10 ** int(input()) + 1)", tests).passed


def test_share_of_tests(pool):
    program = "n = int(input())\nprint(2 * n if n != 1 else 1 // 0)"
    verdict = judged(pool, program)
    assert (verdict.passed_tests, verdict.tests, verdict.outcome) == (0, 3, Outcome.EXCEPTION)
    assert judged(pool, program, every_test=True).share == pytest.approx(2 / 3)
    assert judged(pool, "print(1)", []).outcome is Outcome.BROKEN_TESTS


def test_input_that_nobody_reads_and_large_input(pool):
    large = "7" * 3_000_000
    assert judged(pool, "print(1)", [(large, "1")]).passed
    assert judged(pool, "import sys\nprint(len(sys.stdin.read()))", [(large, str(len(large)))]).passed
    assert judged(pool, "print(input())\nprint(len(input()))", [(f"ü\n{large}", f"ü\n{len(large)}")]).passed
