"""Right programs of awkward kinds pass, and what looks like them does not: as in one plain process, but for cheats."""

import sys
from collections.abc import Iterator

import pytest
from reference.awkward_programs import FUNCTIONS, POOLS, SCRIPTS, WRONG, Function

from qstar_pl.sandbox import CheckedFunction, ExecutionPool, Limits, Outcome, Script, Task, Verdict

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="programs run on Linux only")


def name_of(case: tuple[str, ...]) -> str:
    return case[0]


def judged(pool: ExecutionPool, case: Function, every_test: bool = False) -> Verdict:
    body = "".join(f"    {line}\n" for line in case.test.split("\n"))
    problem = CheckedFunction("key", (), case.prompt, "f", f"def check(candidate):\n{body}")
    return pool.judge([Task(problem, case.program)], every_test=every_test)[0]


@pytest.mark.parametrize("case", FUNCTIONS, ids=name_of)
def test_right_functions(pool: ExecutionPool, case: Function) -> None:
    verdict = judged(pool, case)
    assert verdict.passed, verdict
    assert judged(pool, case, every_test=True).share == 1.0


@pytest.mark.parametrize("case", FUNCTIONS, ids=name_of)
def test_their_tests_fail_for_a_function_that_does_nothing(pool: ExecutionPool, case: Function) -> None:
    head = case.program if case.prompt != Function._field_defaults["prompt"] else ""
    assert not judged(pool, case._replace(program=f"{head}\ndef f(*xs, **named):\n    pass\n")).passed


@pytest.mark.parametrize("case", SCRIPTS, ids=name_of)
def test_right_scripts(pool: ExecutionPool, case: tuple[str, str, str, str]) -> None:
    _, program, given, expected = case
    verdict = pool.judge([Task(Script("key", (), [(given, expected)]), program)])[0]
    assert verdict.passed, verdict


@pytest.fixture(scope="module")
def processes() -> Iterator[ExecutionPool]:
    with ExecutionPool(1, Limits(wall_s=6.0, cpu_s=4, processes=8)) as made:
        yield made


@pytest.mark.parametrize("case", POOLS, ids=name_of)
def test_several_processes(processes: ExecutionPool, case: tuple[str, str, str, str]) -> None:
    if not processes.isolation.files:
        pytest.skip("this kernel allows no private file system")
    _, program, given, expected = case
    verdict = processes.judge([Task(Script("key", (), [(given, expected)]), program)])[0]
    assert verdict.passed, verdict


@pytest.mark.parametrize("every_test", [False, True])
@pytest.mark.parametrize("case", WRONG, ids=name_of)
def test_wrong_functions(pool: ExecutionPool, case: Function, every_test: bool) -> None:
    verdict = judged(pool, case, every_test)
    assert not verdict.passed
    assert verdict.outcome is not Outcome.BROKEN_TESTS
    assert verdict.share < 1.0
