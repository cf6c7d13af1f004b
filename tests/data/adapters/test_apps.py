import json

import pytest

from qstar_pl.data import APPS
from qstar_pl.data.adapters.adapter import RowRejected
from qstar_pl.errors import UserError

TESTS = json.dumps({"inputs": ["1\n"], "outputs": ["2\n"]})
CALLS = json.dumps({"fn_name": "double", "inputs": [[1]], "outputs": [[2]]})
ROW = {
    "problem_id": 3,
    "question": "Double it.\n",
    "input_output": TESTS,
    "solutions": json.dumps(["print(2 * int(input()))", " "]),
    "starter_code": "",
    "difficulty": "interview",
}


def test_standard_input():
    example = APPS().example(ROW, "f:1")
    assert example.turns[0].content == "QUESTION:\nDouble it.\n\nUse Standard Input format\n\nANSWER:\n"
    assert example.chosen == "print(2 * int(input()))"
    assert example.metadata == {
        "task": "apps",
        "source": "f:1",
        "problem_id": 3,
        "input_output": TESTS,
        "starter_code": "",
        "solutions": ["print(2 * int(input()))"],
        "fn_name": None,
        "difficulty": "interview",
    }


def test_call_based():
    row = {**ROW, "input_output": CALLS, "starter_code": "def double(x):\n\t", "solutions": ["a", "b"]}
    example = APPS().example(row, "f:1")
    assert example.turns[0].content == (
        "QUESTION:\nDouble it.\n\ndef double(x):\n\t\n\nUse Call-Based format\n\nANSWER:\n"
    )
    assert (example.metadata["fn_name"], example.metadata["solutions"]) == ("double", ["a", "b"])


@pytest.mark.parametrize("solutions", [None, "", "[]", []])
def test_without_solutions_there_is_no_answer(solutions):
    example = APPS().example({**ROW, "solutions": solutions}, "f:1")
    assert (example.chosen, example.metadata["solutions"]) == (None, [])
    assert "chosen" not in APPS().fields({**ROW, "solutions": ""})
    assert APPS().example({key: value for key, value in ROW.items() if key != "solutions"}, "f:1").chosen is None


def test_numbers_longer_than_python_reads():
    tests = f'{{"inputs": [{"9" * 5000}], "outputs": [1]}}'
    assert APPS().example({**ROW, "input_output": tests}, "f:1").metadata["input_output"] == tests


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"input_output": ""}, "the problem has no tests"),
        ({"input_output": "{}"}, "the problem has no tests"),
        ({"input_output": '{"inputs": [], "outputs": []}'}, "the problem has no tests"),
        ({"input_output": '{"inputs": ["1"], "outputs": ["1", "2"]}'}, "another number of outputs than of inputs"),
        ({"question": " "}, "the prompt is empty"),
    ],
)
def test_rows_that_are_left_out(values, reason):
    with pytest.raises(RowRejected, match=reason):
        APPS().example({**ROW, **values}, "f:1")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"input_output": "{"}, "f:7: input_output must be JSON text"),
        ({"input_output": "[]"}, "f:7: input_output must be an object, got list"),
        ({"input_output": None}, "f:7: input_output must be text, got NoneType"),
        ({"solutions": "print"}, "f:7: solutions must be JSON text"),
        ({"solutions": "[null]"}, "f:7: solutions must be a list of texts, got one with NoneType in it"),
        ({"solutions": [None]}, "f:7: solutions must be a list of texts, got one with NoneType in it"),
        ({"solutions": {}}, "f:7: solutions must be a list of texts, got dict"),
        ({"starter_code": 3}, "f:7: starter_code must be text, got int"),
    ],
)
def test_malformed_rows(values, message):
    with pytest.raises(UserError, match=message):
        APPS().example({**ROW, **values}, "f:7")


@pytest.mark.parametrize("column", ["problem_id", "question", "input_output"])
def test_missing_columns(column):
    with pytest.raises(UserError, match=rf"f:7: APPS needs the columns .*{column}.*; the row has "):
        APPS().example({key: value for key, value in ROW.items() if key != column}, "f:7")


def test_the_real_files(real_data):
    test = APPS().read(str(real_data / "apps" / "apps_test_10.jsonl.gz"))
    assert (test.read, len(test.examples), test.rejected.total()) == (10, 10, 0)
    assert all(example.chosen is None for example in test.examples)
    train = APPS().read(str(real_data / "apps" / "apps_coderl_train_5.jsonl.gz"))
    assert (train.read, len(train.examples), train.rejected.total()) == (5, 5, 0)
    found = {
        one.metadata["problem_id"]: (one.metadata["fn_name"], len(one.metadata["solutions"])) for one in train.examples
    }
    assert found == {
        1: (None, 24),
        111: (None, 1),
        2287: (None, 10),
        2404: ("findKthPositive", 58),
        4184: ("is_prime", 8),
    }
    for example in train.examples:
        wanted = "Call-Based" if example.metadata["fn_name"] else "Standard Input"
        assert f"Use {wanted} format\n\nANSWER:\n" in example.turns[0].content
        assert example.chosen == example.metadata["solutions"][0]
