"""Tests that run in one process and the function in another must not notice that."""

import pytest

from qstar_pl.sandbox import CheckedFunction, FunctionCases, Outcome, Task


def judged(pool, program, test, prompt="def f(*xs):\n    pass\n", every_test=False):
    problem = CheckedFunction("key", (), prompt, "f", test)
    return pool.judge([Task(problem, program)], every_test=every_test)[0]


def check(*lines):
    return "def check(candidate):\n" + "".join(f"    {line}\n" for line in lines)


@pytest.mark.parametrize(
    ("program", "test"),
    [
        ("def f(x): return x", check("assert candidate((1, [2.5, None], {3: 'x'})) == (1, [2.5, None], {3: 'x'})")),
        ("def f(x): return x", check("assert candidate({1, 2}) == {1, 2}", "assert candidate(b'a') == b'a'")),
        ("def f(x): return x", check("assert candidate(2**100) == 2**100", "assert candidate(1j) == 1j")),
        ("def f(x): return x", check("v = candidate(float('inf'))", "assert v == float('inf')")),
        ("def f(a, *, b=1): return a - b", check("assert candidate(3, b=2) == 1", "assert candidate(a=3) == 2")),
        ("def f(x): x.append(4); x[0] = 9", check("v = [1]", "assert candidate(v) is None", "assert v == [9, 4]")),
        ("def f(x): x['k'] = [1]; x.pop('j')", check("v = {'j': 1}", "candidate(v)", "assert v == {'k': [1]}")),
        ("def f(x): x.add(2)", check("v = {1}", "candidate(v)", "assert v == {1, 2}")),
        ("def f(x): return sorted(x)", check("v = [2, 1]", "assert candidate(v) == [1, 2]", "assert v == [2, 1]")),
        ("n = 0\ndef f():\n    global n\n    n += 1\n    return n", check("candidate()", "assert candidate() == 2")),
        ("def f(x): return 1 // x", check("try: candidate(0)", "except ZeroDivisionError: return", "assert False")),
        (
            "def f(x): raise ValueError('no')",
            check("try: candidate(0)", "except ValueError as e: assert 'no' in str(e)"),
        ),
        ("def f(x): return x", check("assert f(3) == 3", "assert candidate is f")),
        ("def f(x): return x", check("import math, random", "for _ in range(300): assert candidate(1) == 1")),
        ("import collections\ndef f(x): return collections.Counter(x)", check("assert candidate('aa') == {'a': 2}")),
        ("def f(x): return x", "LIMIT = 3\ndef helper(c): assert c(LIMIT) == 3\n" + check("helper(candidate)")),
        ("def f(x):\n    print('noise')\n    return x", check("print('more')", "assert candidate(1) == 1")),
        # Answers of other types than JSON's: as in a plain run.
        (
            "def f(n): yield from range(n)",
            check("assert list(candidate(3)) == [0, 1, 2]", "assert sum(candidate(4)) == 6"),
        ),
        (
            "def f():\n    n = 0\n    while True:\n        yield n\n        n += 1",
            check("g = candidate()", "assert [next(g), next(g)] == [0, 1]", "assert next(x for x in g if x > 9) == 10"),
        ),
        (
            "def f():\n    yield 1\n    raise ValueError('no more')",
            check("g = candidate()", "next(g)", "try: next(g)", "except ValueError as e: assert str(e) == 'no more'"),
        ),
        ("def f(x): return map(str, x)", check("assert list(candidate(iter([1, 2]))) == ['1', '2']")),
        ("def f(x): return [iter(x), x]", check("a, b = candidate('ab')", "assert ''.join(a) == b", "assert not [*a]")),
        (
            "from fractions import Fraction\ndef f(x): return Fraction(1, x)",
            check(
                "assert candidate(2) == 0.5", "assert abs(candidate(3) - 1 / 3) < 1e-9", "assert candidate(4) * 4 == 1"
            ),
        ),
        (
            "from decimal import Decimal\ndef f(x): return Decimal(x) / 4",
            check(
                "from decimal import Decimal", "assert candidate(1) == 0.25", "assert candidate(5) == Decimal('1.25')"
            ),
        ),
        ("def f(n): return range(n)", check("assert candidate(3) == range(3)", "assert list(candidate(2)) == [0, 1]")),
        (
            "def f(x): return x.keys()",
            check("assert candidate({1: 2}) == {1}", "assert sorted(candidate({4: 5})) == [4]"),
        ),
        (
            "from collections import deque\ndef f(x): return deque(x)",
            check("assert list(candidate((1, 2))) == [1, 2]", "assert candidate([3])[-1] == 3"),
        ),
        (
            "def f(n): return 10 ** n",
            check("assert candidate(5000) == 10 ** 5000", "assert len(str(candidate(5000))) == 5001"),
        ),
        ("def f(n): return len(str(10 ** n))", check("assert candidate(5000) == 5001")),
        ("n = 1\ndef f():\n    nonlocal n\n    n += 1\n    return n", check("assert candidate() == 2")),
    ],
)
def test_right_programs_pass(pool, program, test):
    verdict = judged(pool, program, test)
    assert verdict.passed, verdict
    assert (verdict.passed_tests, verdict.tests, verdict.share) == (1, 1, 1.0)


@pytest.mark.parametrize(
    ("program", "test", "outcome", "detail"),
    [
        ("def f(): return 2", check("assert candidate() == 1, 'no'"), Outcome.WRONG_ANSWER, "AssertionError: no"),
        ("def f(): return None", check("assert len(candidate()) == 1"), Outcome.WRONG_ANSWER, "TypeError"),
        ("def f(): return iter([1])", check("assert candidate() == [1]"), Outcome.WRONG_ANSWER, "AssertionError"),
        ("def f(): yield 1 // 0", check("assert list(candidate()) == [1]"), Outcome.EXCEPTION, "ZeroDivisionError"),
        ("def f():\n    while True: yield 1", check("assert list(candidate()) == [1]"), Outcome.TIMEOUT, ""),
        ("def f():\n    yield 'x' * 2**21", check("assert list(candidate()) == [1]"), Outcome.OUTPUT_LIMIT, "bytes"),
        (
            "import itertools\ndef f(): return itertools.count()",
            check("candidate() + 1"),
            Outcome.WRONG_ANSWER,
            "TypeError",
        ),
        ("def f():\n    return 1\nreturn", check("candidate()"), Outcome.SYNTAX, "'return' outside function"),
        ("def f(): return object()", check("assert candidate() + 1"), Outcome.WRONG_ANSWER, "TypeError"),
        ("def f(): return object()", check("assert not candidate()"), Outcome.WRONG_ANSWER, "AssertionError"),
        ("def f(): return 1 // 0", check("assert candidate() == 1"), Outcome.EXCEPTION, "ZeroDivisionError"),
        ("class E(Exception): pass\ndef f(): raise E('x')", check("candidate()"), Outcome.EXCEPTION, "E: x"),
        ("import nowhere\ndef f(): pass", check("candidate()"), Outcome.EXCEPTION, "ModuleNotFoundError"),
        ("def g(): pass", check("candidate()"), Outcome.EXCEPTION, "KeyError: 'f'"),
        ("def f(", check("candidate()"), Outcome.SYNTAX, "SyntaxError"),
        ("def f(): raise AssertionError", check("candidate()"), Outcome.EXCEPTION, "AssertionError"),
        ("import os\ndef f(): os._exit(3)", check("candidate()"), Outcome.EXCEPTION, "exit code 3"),
        ("import os\ndef f(): os.abort()", check("candidate()"), Outcome.EXCEPTION, "SIGABRT"),
        ("def f(): return 'x' * 2**21", check("candidate()"), Outcome.OUTPUT_LIMIT, "bytes"),
        ("def f(): return bytearray(2**29)", check("candidate()"), Outcome.MEMORY, "MemoryError"),
        ("def f():\n    while True: pass", check("candidate()"), Outcome.TIMEOUT, "out of time"),
        ("def f(): return 1", check("pass"), Outcome.BROKEN_TESTS, "calls nothing"),
        ("def f(): return 1", check("candidate()"), Outcome.BROKEN_TESTS, "asserts nothing"),
        ("def f(): return 1", check("candidate(); assert True"), Outcome.BROKEN_TESTS, "asserts nothing"),
        ("def f(): return 1", "def check(", Outcome.BROKEN_TESTS, ""),
        ("def f(): return 1", "x = 1", Outcome.BROKEN_TESTS, "check"),
        ("def f(): return 1", check("import os; os._exit(0)"), Outcome.BROKEN_TESTS, "code 0"),
    ],
)
def test_how_a_program_fails(pool, program, test, outcome, detail):
    verdict = judged(pool, program, test)
    assert (verdict.outcome, verdict.share) == (outcome, 0.0)
    assert detail in verdict.detail


def test_tests_that_catch_everything_do_not_hide_a_program_that_is_gone(pool):
    test = check("try: candidate()", "except BaseException: pass")
    assert judged(pool, "import os\ndef f(): os._exit(0)", test).outcome is Outcome.EXCEPTION
    assert judged(pool, "def f():\n    while True: pass", test).outcome is Outcome.TIMEOUT


def test_helpers_come_from_the_prompt_and_not_from_the_answer(pool):
    prompt = "def twice(x):\n    return 2 * x\n\ndef f(x):\n    '''Half of x.'''\n"
    test = check("assert candidate(twice(5)) == 5")
    assert judged(pool, "def f(x): return x // 2", test, prompt).passed
    assert not judged(pool, "def twice(x): return x\ndef f(x): return x", test, prompt).passed
    assert judged(pool, "def f(x): return x // 2", test, "def twice(x):\n    return 2 * x\n\ndef f(x):").passed


def test_share_of_tests(pool):
    lines = [f"assert candidate({x}) == {x * x}" for x in range(4)]
    test = check(*lines, "assert True, 'debugging'")
    verdict = judged(pool, "def f(x): return x if x != 3 else 1 // 0", test, every_test=True)
    assert (verdict.passed_tests, verdict.tests, verdict.outcome) == (2, 4, Outcome.WRONG_ANSWER)
    assert verdict.share == 0.5
    assert judged(pool, "def f(x): return x * x", test, every_test=True).share == 1.0
    # An exception outside an assert ends the tests; those that were not reached have not passed.
    verdict = judged(pool, "def f(x): return 0", check(lines[0], "[][candidate(0)]", *lines[1:]), every_test=True)
    assert (verdict.passed_tests, verdict.tests) == (1, 4)
    verdict = judged(pool, "def f(x):\n    if x == 1: exit(0)\n    return x * x", test, every_test=True)
    assert (verdict.passed_tests, verdict.tests, verdict.outcome) == (3, 4, Outcome.EXCEPTION)
    assert not judged(pool, "def f(x): return x", check("candidate(1)", "assert True"), every_test=True).passed


def test_verdicts_repeat(pool):
    program = "import random\nvalue = random.random()\ndef f(): return [value, *{'a', 'b', 'c', 'd'}]"
    test = check("import random", "print(candidate(), random.random())", "assert candidate() == 0")
    details = {judged(pool, program, test.replace("== 0", "== 0, repr((candidate(), random.random()))")).detail}
    details |= {judged(pool, program, test.replace("== 0", "== 0, repr((candidate(), random.random()))")).detail}
    assert len(details) == 1


def cases(pool, program, inputs, outputs, every_test=False):
    problem = FunctionCases("key", (), "f", inputs, outputs, "")
    return pool.judge([Task(problem, program)], every_test=every_test)[0]


def test_cases_of_apps(pool):
    inputs, outputs = [[1], [2], [3]], [1, [4], 9]
    assert cases(pool, "def f(x): return x * x", inputs, outputs).passed
    method = "class Solution:\n    def f(self, xs: List[int]) -> int:\n        return sum(map(sqrt, xs))"
    assert cases(pool, method, [[[1, 4]], [[9]]], [3, 3]).passed
    verdict = cases(pool, "def f(x): return x * x if x != 1 else 0", inputs, outputs)
    assert (verdict.outcome, verdict.passed_tests, verdict.tests) == (Outcome.WRONG_ANSWER, 0, 3)
    verdict = cases(pool, "def f(x): return x * x if x != 1 else 0", inputs, outputs, every_test=True)
    assert (verdict.passed_tests, verdict.share) == (2, pytest.approx(2 / 3))
    verdict = cases(pool, "def f(x): return [][x]", inputs, outputs)
    assert (verdict.outcome, verdict.passed_tests) == (Outcome.EXCEPTION, 0)
    verdict = cases(pool, "def f(x):\n    while x == 2: pass\n    return x * x", inputs, outputs, every_test=True)
    assert (verdict.outcome, verdict.passed_tests) == (Outcome.TIMEOUT, 1)


def test_cases_of_other_types(pool):
    fraction = "from fractions import Fraction\ndef f(x): return Fraction(x, 2)"
    assert cases(pool, fraction, [[1], [4]], [0.5, 2]).passed
    assert not cases(pool, fraction, [[1]], [0.6]).passed
    assert cases(pool, "from decimal import Decimal\ndef f(x): return Decimal(x) / 3", [[1]], [1 / 3]).passed
    # As in a plain run, a generator is no list, even of the same items.
    assert not cases(pool, "def f(x): yield x", [[1]], [[1]]).passed
    assert cases(pool, "def f(n): return 10 ** n - 1", [[5000], [1]], [10**5000 - 1, 9]).passed
    verdict = cases(pool, "def f(n): return 10 ** n", [[5000]], [10**5000 - 1])
    assert verdict.outcome is Outcome.WRONG_ANSWER
    deep = []
    for _ in range(300):
        deep = [deep]
    assert cases(pool, "def f(x): return x", [[deep]], [deep]).passed
    assert not cases(pool, "def f(x): return [x]", [[deep]], [deep]).passed
