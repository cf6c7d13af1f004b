"""The real problems: every reference solution passes, and a wrong one does not."""

import gzip
import json
from pathlib import Path

import pytest

from qstar_pl.sandbox import ExecutionPool, Limits, Outcome, Problem, Task, problem_from_metadata


@pytest.fixture(scope="module")
def two_workers():
    with ExecutionPool(2, Limits(wall_s=20.0)) as pool:
        yield pool


def problems(path: Path, task: str) -> list[Problem]:
    with gzip.open(path, "rt") as file:
        return [problem_from_metadata({**json.loads(line), "task": task}) for line in file]


@pytest.fixture(scope="module")
def humaneval(real_data: Path) -> list[Problem]:
    return problems(real_data / "humaneval" / "HumanEval.jsonl.gz", "humaneval")


def test_all_canonical_solutions_of_humaneval_pass(humaneval: list[Problem], two_workers: ExecutionPool) -> None:
    assert len(humaneval) == 164
    verdicts = two_workers.judge(Task(problem, problem.references[0]) for problem in humaneval)
    assert {p.key: v for p, v in zip(humaneval, verdicts, strict=True) if not v.passed} == {}


def test_every_assert_of_humaneval_is_counted(humaneval: list[Problem], two_workers: ExecutionPool) -> None:
    tasks = [Task(problem, problem.references[0]) for problem in humaneval[::8]]
    assert [v.share for v in two_workers.judge(tasks, every_test=True)] == [1.0] * len(tasks)
    # One by one only where the tests as a whole were not passed.
    wrong = [Task(problem, problem.program("    return None")) for problem in humaneval[::8]]
    verdicts = two_workers.judge(wrong, every_test=True)
    assert all(verdict.share < 1 for verdict in verdicts)
    assert sum(verdict.tests for verdict in verdicts) > 4 * len(verdicts)


def test_empty_functions_fail_humaneval(humaneval: list[Problem], two_workers: ExecutionPool) -> None:
    tasks = [Task(problem, problem.program("    return None")) for problem in humaneval[::4]]
    outcomes = {verdict.outcome for verdict in two_workers.judge(tasks)}
    assert outcomes == {Outcome.WRONG_ANSWER}


def test_chat_style_answers_to_humaneval(humaneval: list[Problem], two_workers: ExecutionPool) -> None:
    tasks = [
        Task(problem, problem.program(f"Sure!\n\n```python\n{problem.references[0]}\n```\nThat is it."))
        for problem in humaneval[3::8]
    ]
    assert all(verdict.passed for verdict in two_workers.judge(tasks))


@pytest.mark.parametrize(
    "form",
    [
        "Sure!\n```python\n{}\n```\nBye",
        "Here:\n\n{}\n\nThat is it (I'm sure).",
        "~~~py\n{}~~~",
        "{}\n```\nprose",
        "```\n{}\n```\n```output\n[1, 2]\n```",
    ],
)
def test_the_program_is_found_in_every_form(form: str, humaneval: list[Problem]) -> None:
    for problem in humaneval:
        whole = problem.references[0]
        program = problem.program(form.format(whole))
        compile(program, "program.py", "exec")
        assert whole[whole.index("def " + problem.entry_point) :].strip() in program


def test_a_completion_is_taken_as_it_stands(humaneval: list[Problem]) -> None:
    for problem in humaneval:
        whole = problem.references[0]
        body = whole.removeprefix(problem.prompt)
        assert problem.program(body) == problem.prompt + body.lstrip("\n")


def test_reference_solutions_of_apps_pass(real_data: Path, two_workers: ExecutionPool) -> None:
    rows = problems(real_data / "apps" / "apps_coderl_train_5.jsonl.gz", "apps")
    tasks = [Task(problem, program) for problem in rows for program in problem.references]
    verdicts = two_workers.judge(tasks)
    assert len(tasks) == 101
    assert {t.program: v for t, v in zip(tasks, verdicts, strict=True) if not v.passed} == {}


def test_wrong_programs_fail_apps(real_data: Path, two_workers: ExecutionPool) -> None:
    files = ("apps_coderl_train_5.jsonl.gz", "apps_test_10.jsonl.gz")
    rows = [problem for file in files for problem in problems(real_data / "apps" / file, "apps")]
    assert len(rows) == 15
    program = "print(42)\nclass Solution:\n    def __getattr__(self, name): return lambda *a: 42\n"
    verdicts = two_workers.judge([Task(problem, program) for problem in rows])
    assert not any(verdict.passed for verdict in verdicts)
