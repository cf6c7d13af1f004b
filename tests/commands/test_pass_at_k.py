"""`qstar pass-at-k` as its user meets it."""

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qstar_pl.data.adapters.apps import APPS as AppsAdapter  # noqa: N811
from qstar_pl.data.adapters.humaneval import HumanEval
from qstar_pl.evaluation.samples import read_problems
from qstar_pl.sandbox import ExecutionPool, problem_from_metadata

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="programs run on Linux only")

Call = Callable[..., tuple[int, str, str]]
PROBLEMS = [
    {
        "task_id": f"T/{number}",
        "prompt": f"def add{number}(x):\n    '''Add {number}.'''\n",
        "entry_point": f"add{number}",
        "canonical_solution": f"    return x + {number}\n",
        "test": f"def check(candidate):\n    assert candidate(5) == {5 + number}\n",
    }
    for number in range(3)
]
APPS = {"problem_id": 12, "question": "Double it.", "input_output": json.dumps({"inputs": ["4\n"], "outputs": ["8\n"]})}


def write(name: str, rows: list[dict]) -> Path:
    path = Path(name)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines.encode()))
    else:
        path.write_text(lines)
    return path


def generated(problem: dict, number: int, text: str) -> dict:
    """A row as `qstar generate` writes it."""
    messages = [{"role": "user", "content": problem.get("prompt", "?")}, {"role": "assistant", "content": text}]
    return {"messages": messages, "sample_idx": number, **problem}


def test_generated_rows(qstar: Call) -> None:
    write("problems.jsonl.gz", PROBLEMS)
    rows = [
        generated(PROBLEMS[0], 0, "    return x"),
        generated(PROBLEMS[0], 1, "```python\ndef add0(x):\n    return x\n```"),
        generated(PROBLEMS[1], 0, "    return x + 1"),
        generated(PROBLEMS[1], 1, "    return x + 2"),
        generated(PROBLEMS[2], 0, "    return y"),
        generated(PROBLEMS[2], 1, "    return ("),
    ]
    write("samples.jsonl", rows)
    code, out, err = qstar(
        "pass-at-k", "samples.jsonl", "--problems=problems.jsonl.gz", "--workers=1", "--k", "1", "2", "3"
    )
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].split() == ["pass@1", "0.5000", "over", "3", "problems"]
    assert lines[1].split() == ["pass@2", "0.6667", "over", "3", "problems"]
    assert "pass@3" in lines[2]
    assert "needs 3 samples" in lines[2]
    assert "3 of 6" in lines[3]
    assert "wrong answer 1, exception 1, timeout 0, memory 0, output limit 0, syntax 1" in lines[4]
    results = [json.loads(line) for line in Path("samples.jsonl.results.jsonl").read_text().splitlines()]
    assert [row["passed"] for row in results] == [True, True, True, False, False, False]
    assert [(row["task_id"], row["sample_idx"]) for row in results] == [(f"T/{n // 2}", n % 2) for n in range(6)]
    assert results[4]["result"] == "exception"
    assert "NameError" in results[4]["detail"]


def test_rows_of_human_eval_continue_the_prompt(qstar: Call) -> None:
    write("problems.jsonl", PROBLEMS)
    rows = [
        {"task_id": "T/1", "completion": "    return x + 1\n"},
        {"task_id": "T/1", "completion": "    return 6\n\nz"},
    ]
    write("samples.jsonl", rows)
    code, out, err = qstar("pass-at-k", "samples.jsonl", "--problems=problems.jsonl", "--output=deep/er/results.jsonl")
    assert code == 0, err
    assert "pass@1    0.5000   over 1 problems" in out
    assert "2 of 3 problems have no sample" in err
    lines = Path("deep/er/results.jsonl").read_text().splitlines()
    assert [json.loads(line)["sample_idx"] for line in lines] == [0, 1]


def test_apps(qstar: Call) -> None:
    solved = {**APPS, "solutions": json.dumps(["print(2 * int(input()))", "print(8)"])}
    write("problems.jsonl", [solved, {**APPS, "problem_id": 13, "input_output": ""}])
    write("samples.jsonl", [generated(APPS, 0, "```\nprint(int(input()) * 2)\n```"), generated(APPS, 1, "print(9)")])
    code, out, err = qstar("pass-at-k", "samples.jsonl", "--problems=problems.jsonl", "--k", "1")
    assert code == 0, err
    assert "pass@1    0.5000" in out
    code, out, _ = qstar("pass-at-k", "--problems=problems.jsonl", "--check-reference")
    assert (code, "2/2 pass; all of 1/1 problems" in out) == (0, True)


def test_reference_solutions_that_fail_are_named(qstar: Call) -> None:
    broken = {**PROBLEMS[2], "canonical_solution": "    return x\n"}
    write("problems.jsonl", [PROBLEMS[0], broken])
    code, out, _ = qstar("pass-at-k", "--problems=problems.jsonl", "--check_reference")
    assert code == 1
    assert "T/2 solution 0: wrong answer" in out
    assert "1/2 pass; all of 1/2 problems" in out


def test_isolation_in_words(qstar: Call) -> None:
    code, out, _ = qstar("pass-at-k", "--describe_isolation")
    assert code == 0
    assert [line.partition(":")[0] for line in out.splitlines()] == [
        "network",
        "files",
        "processes",
        "system calls",
        "user",
        "memory",
        "always",
    ]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "problems must name"),
        (["--problems=problems.jsonl"], "samples or --check_reference must be given"),
        (["samples.jsonl", "--problems=problems.jsonl", "--check_reference"], "samples or --check_reference"),
        (["samples.jsonl", "--problems=nowhere.jsonl"], "problems must be a file"),
        (
            ["nowhere.jsonl", "--problems=problems.jsonl"],
            "samples must be a file of JSON lines, got nowhere.jsonl, which does not exist",
        ),
        (
            ["folder", "--problems=problems.jsonl", "--output=new.jsonl"],
            "samples must be a file of JSON lines, got the folder folder",
        ),
        (
            ["/dev/null", "--problems=problems.jsonl", "--output=new.jsonl"],
            "samples must be a file of JSON lines, got /dev/null, which is a device or a pipe",
        ),
        (["samples.jsonl", "--problems=samples.jsonl"], "problems must be rows of HumanEval or APPS"),
        (["unknown.jsonl", "--problems=problems.jsonl"], "samples must name a task_id or problem_id"),
        (["bare.jsonl", "--problems=problems.jsonl"], "samples must have a completion"),
        (["malformed.jsonl", "--problems=problems.jsonl"], "a line must be a JSON object"),
        (["empty.jsonl", "--problems=problems.jsonl"], "samples must hold at least one row of a problem"),
        (
            ["samples.jsonl", "--problems=bad.jsonl"],
            "problems must be rows of HumanEval or APPS with tests, got none in",
        ),
        (["samples.jsonl", "--problems=twice.jsonl"], "problems must have each problem once"),
        (["samples.jsonl", "--problems=problems.jsonl", "--workers=0"], "workers must be at least 1"),
        (["samples.jsonl", "--problems=problems.jsonl", "--wall_s=0"], "wall_s must be"),
        (["samples.jsonl", "--problems=problems.jsonl", "--k", "0"], "k must be at least 1"),
        (["--problems=unsolved.jsonl", "--check_reference"], "problems must have reference solutions"),
    ],
)
def test_mistakes(words: list[str], line: str, qstar: Call) -> None:
    write("problems.jsonl", PROBLEMS)
    write("twice.jsonl", [PROBLEMS[0], PROBLEMS[0]])
    write("unsolved.jsonl", [APPS])
    write("bad.jsonl", [{**APPS, "input_output": "{"}])
    write("samples.jsonl", [{"task_id": "T/0", "completion": "    return x\n"}])
    write("unknown.jsonl", [{"task_id": "U/0", "completion": ""}])
    write("bare.jsonl", [{"task_id": "T/0", "messages": [{"role": "user", "content": "hi"}]}])
    Path("malformed.jsonl").write_text('{"task_id": \n')
    Path("empty.jsonl").write_text("\n")
    Path("folder").mkdir()
    code, _, err = qstar("pass-at-k", *words)
    assert code == 2
    assert err.splitlines()[-1].startswith(f"error: {line}"), err


@pytest.mark.parametrize(
    ("problems", "output"),
    [
        ("problems.jsonl", "samples.jsonl"),
        ("problems.jsonl", "./problems.jsonl"),
        ("problems.jsonl", "link.jsonl"),
        ("packed.jsonl.gz", "packed.jsonl.gz"),
        ("folder", "folder/problems.jsonl"),
        ("samples.jsonl.results.jsonl", None),
    ],
)
def test_results_take_the_place_of_nothing_that_is_read(problems: str, output: str | None, qstar: Call) -> None:
    Path("folder").mkdir()
    for name in ("problems.jsonl", "packed.jsonl.gz", "folder/problems.jsonl", "samples.jsonl.results.jsonl"):
        write(name, PROBLEMS)
    Path("link.jsonl").symlink_to("samples.jsonl")
    write("samples.jsonl", [{"task_id": "T/0", "completion": "    return x\n"}])
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    words = [] if output is None else [f"--output={output}"]
    code, _, err = qstar("pass-at-k", "samples.jsonl", f"--problems={problems}", *words)
    got = Path(output or problems)
    assert (code, err) == (2, f"error: output must be none of the files that are read, got {got}\n")
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


def test_references_are_judged_without_writing_over_the_problems(qstar: Call) -> None:
    before = write("problems.jsonl", PROBLEMS).read_bytes()
    words = ["--problems=problems.jsonl", "--check_reference"]
    code, _, err = qstar("pass-at-k", *words, "--output=problems.jsonl")
    assert (code, err) == (2, "error: output must be none of the files that are read, got problems.jsonl\n")
    assert Path("problems.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "got"),
    [
        (["--output=folder"], "folder: Is a directory"),
        (["--output=problems.jsonl/results.jsonl"], "problems.jsonl/results.jsonl: Not a directory"),
        ([], "samples.jsonl.results.jsonl: Is a directory"),
    ],
)
def test_a_place_that_cannot_be_used_is_refused_before_the_first_program(
    words: list[str], got: str, qstar: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("folder", "samples.jsonl.results.jsonl"):
        Path(name).mkdir()
    write("problems.jsonl", PROBLEMS)
    write("samples.jsonl", [{"task_id": "T/0", "completion": "    return x\n"}])
    monkeypatch.setattr(ExecutionPool, "judge", lambda *_: pytest.fail("no program is to be run"))
    code, _, err = qstar("pass-at-k", "samples.jsonl", "--problems=problems.jsonl", *words)
    assert (code, err) == (2, f"error: output must name a place that can be used, got {got}\n")


BIG = {
    "problem_id": 2,
    "question": "Return ten to the n, minus one.",
    "starter_code": "def nines(n):\n    ",
    "input_output": f'{{"fn_name": "nines", "inputs": [[5000]], "outputs": [{"9" * 5000}]}}',
    "solutions": json.dumps(["def nines(n):\n    return 10**n - 1"]),
}
UNREADABLE = [
    {**APPS, "problem_id": 20, "input_output": json.dumps({"inputs": ["1\n", "2\n"], "outputs": ["1\n"]})},
    {**APPS, "problem_id": 21, "input_output": "{"},
    {**APPS, "problem_id": 22, "input_output": ""},
    {**APPS, "problem_id": 23, "input_output": json.dumps({"fn_name": "f", "inputs": [5], "outputs": [5]})},
    {**APPS, "problem_id": 24, "solutions": "print"},
    {"problem_id": 25, "question": "?"},
    {**PROBLEMS[0], "task_id": "T/9", "prompt": None},
]


def test_a_problem_that_cannot_be_read_is_counted_and_named(qstar: Call) -> None:
    solved = {**APPS, "solutions": json.dumps(["print(2 * int(input()))"])}
    path = write("problems.jsonl", [UNREADABLE[0], solved, *UNREADABLE[1:]])
    path.write_text(path.read_text() + '{"problem_id": 26, \n')
    code, out, err = qstar("pass-at-k", "--problems=problems.jsonl", "--check_reference")
    assert (code, "1/1 pass; all of 1/1 problems" in out) == (0, True)
    assert "note: 8 of 9 problems cannot be judged and do not count:" in err
    assert "20 (problems.jsonl:1): the tests have another number of outputs than of inputs" in err
    assert "21 (problems.jsonl:3): input_output must be JSON text" in err
    assert "and 3 more" in err
    # A sample of such a problem does not end the run either.
    write("samples.jsonl", [generated(UNREADABLE[0], 0, "print(1)"), generated(APPS, 0, "print(8)")])
    code, out, err = qstar("pass-at-k", "samples.jsonl", "--problems=problems.jsonl", "--k", "1")
    assert code == 0, err
    assert "pass@1    1.0000   over 1 problems" in out


def test_adapter_and_scorer_agree_on_which_rows_exist(qstar: Call) -> None:
    rows = [APPS, BIG, *UNREADABLE[:5]]
    path = write("problems.jsonl", rows)
    used = {str(one.metadata["problem_id"]) for one in AppsAdapter().read(str(path)).examples}
    assert used == {"12", "2"} == set(read_problems(path).by_key)
    path = write(
        "functions.jsonl", [*PROBLEMS, UNREADABLE[6], {**PROBLEMS[0], "task_id": "T/7", "canonical_solution": None}]
    )
    used = {one.metadata["task_id"] for one in HumanEval().read(str(path)).examples}
    assert used == {"T/0", "T/1", "T/2", "T/7"} == set(read_problems(path).by_key)
    # What an adapter lets through can be made into a problem.
    for adapter, name in ((AppsAdapter(), "problems.jsonl"), (HumanEval(), "functions.jsonl")):
        assert all(problem_from_metadata(one.metadata) for one in adapter.read(name).examples)


def test_numbers_of_many_digits(qstar: Call) -> None:
    write("problems.jsonl", [BIG])
    code, out, err = qstar("pass-at-k", "--problems=problems.jsonl", "--check_reference")
    assert (code, "1/1 pass" in out) == (0, True), err
    row = json.dumps({"problem_id": 2, "completion": "def nines(n):\n    return 10**n", "digits": 0})
    Path("samples.jsonl").write_text(row.replace(": 0}", f": {'7' * 5000}}}") + "\n")
    code, out, err = qstar("pass-at-k", "samples.jsonl", "--problems=problems.jsonl", "--k", "1")
    assert (code, "wrong answer 1" in out) == (0, True), err
