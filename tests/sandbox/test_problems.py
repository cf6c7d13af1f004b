import json

import pytest

from qstar_pl.sandbox import CheckedFunction, FunctionCases, SandboxError, Script, problem_from_metadata
from qstar_pl.sandbox.problems import can_fail

HUMANEVAL = {
    "task": "humaneval",
    "task_id": "X/1",
    "prompt": "def f(x):\n",
    "entry_point": "f",
    "test": "def check(candidate): assert candidate(1) == 1",
    "canonical_solution": "    return x\n",
}
STDIN = {"inputs": ["1\n", ["2", "3"]], "outputs": ["1\n", ["2", "3"]]}
CALLS = {"fn_name": "f", "inputs": [[1], [[2, 3]]], "outputs": [1, [2]]}


def apps(cases, **more):
    return {"task": "apps", "problem_id": 7, "input_output": json.dumps(cases), "starter_code": "", **more}


def test_humaneval():
    problem = problem_from_metadata(HUMANEVAL)
    assert isinstance(problem, CheckedFunction)
    assert problem.key == "X/1"
    assert problem.references == ("def f(x):\n    return x\n",)
    assert problem.program("return 3") == "def f(x):\n    return 3"


def test_apps_scripts():
    problem = problem_from_metadata(apps(STDIN, solutions=["print(1)"]))
    assert isinstance(problem, Script)
    assert problem.key == "7"
    assert problem.references == ("print(1)",)
    assert problem.tests == [("1\n", "1\n"), ("2\n3", "2\n3")]
    assert problem.program("So:\n```python\nprint(2)\n```") == "print(2)\n"
    assert problem.program("print(3)") == "print(3)"


def test_apps_functions():
    problem = problem_from_metadata(apps(CALLS, starter_code="def f(x):\n    ", solutions='["a", "b"]'))
    assert isinstance(problem, FunctionCases)
    assert problem.references == ("a", "b")
    assert (problem.function, problem.inputs, problem.outputs) == ("f", [[1], [[2, 3]]], [1, [2]])
    assert problem.program("def f(x): return 1") == "def f(x): return 1"
    assert problem.program("    return 1") == "def f(x):\n    return 1"
    method = problem_from_metadata(apps(CALLS, starter_code="class Solution:\n    def f(self, x):\n        "))
    assert method.program("```\nclass Solution:\n    def f(self, x): pass\n```").startswith("class Solution")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "task"),
        ({"task": "dialogue"}, "'dialogue'"),
        ({"task": "humaneval", "prompt": "x"}, "'entry_point'"),
        (apps({"inputs": [1]}), "'outputs'"),
        (apps({"inputs": [1], "outputs": []}), "another number of outputs"),
        ({"task": "apps", "input_output": "{"}, "dataset's form"),
    ],
)
def test_other_metadata(metadata, message):
    with pytest.raises(SandboxError, match=message):
        problem_from_metadata(metadata)


def test_tests_in_other_forms():
    def cases(**columns):
        return problem_from_metadata(apps(columns))

    big = "9" * 5000
    text = f'{{"fn_name": "f", "inputs": [[1]], "outputs": [{big}]}}'
    assert problem_from_metadata({**apps({}), "input_output": text}).outputs == [10**5000 - 1]
    lists_as_text = cases(fn_name="f", inputs="[[1], [2]]", outputs="[1, 4]")
    assert (lists_as_text.inputs, lists_as_text.outputs) == ([[1], [2]], [1, 4])
    # One JSON value a line, as in LiveCodeBench.
    lines = cases(fn_name="f", inputs=['[1, 2]\n"x"', '"y"'], outputs=["[3]", "plain"])
    assert (lines.inputs, lines.outputs) == ([[[1, 2], "x"], ["y"]], [[3], "plain"])
    script = cases(inputs='["1\\n", ["2", [3]]]', outputs=["1", 10**4100])
    assert script.tests == [("1\n", "1"), ("2\n[3]", "1" + "0" * 4100)]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"fn_name": "f", "inputs": [5], "outputs": [1]}, "lists of arguments, got int"),
        ({"inputs": {"a": 1}, "outputs": [1]}, "inputs must be a list, got dict"),
        ({"inputs": "[1", "outputs": [1]}, "dataset's form"),
        ({"inputs": [], "outputs": []}, "no tests"),
    ],
)
def test_tests_that_cannot_be_read(columns, message):
    with pytest.raises(SandboxError, match=message):
        problem_from_metadata(apps(columns))
    with pytest.raises(SandboxError, match="nested"):
        problem_from_metadata({**apps({}), "input_output": "[" * 100_000})


@pytest.mark.parametrize(
    ("test", "fails"),
    [
        ("assert f() == 1", True),
        ("assert False", True),
        ("if f(): raise ValueError", True),
        ("self.assertEqual(f(), 1)", True),
        ("check_all(f)", True),
        ("f()", False),
        ("assert True\nassert 'a text'", False),
        ("'assert f() == 1'", False),
        ("x = '\\d'\nf()", False),
        ("f(" + "-" * 50_000 + "1)", True),
    ],
)
@pytest.mark.filterwarnings("error")
def test_tests_that_can_fail(test, fails):
    assert can_fail(test) is fails
