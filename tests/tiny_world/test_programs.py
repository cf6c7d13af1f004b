import ast
from collections import Counter

import pytest

from qstar_pl.tiny_world.interpreter import evaluate, parse_expression
from qstar_pl.tiny_world.programs import FAMILIES, FLAWS
from qstar_pl.tiny_world.rows import programs


@pytest.fixture(scope="module")
def rows():
    return programs(1200, 11)


def python(row, body):
    """Run a body that the project itself wrote as real Python, with MBPP's asserts."""
    space = {}
    exec(f"{row['prompt']}\n    {body}\n", space)
    return [_passes(test, space) for test in row["test_list"]]


def _passes(test, space):
    try:
        exec(test, space)
    except Exception:
        return False
    return True


def test_heads_are_python(rows):
    for row in rows:
        function = ast.parse(row["prompt"]).body[0]
        assert isinstance(function, ast.FunctionDef)
        assert function.name == row["entry_point"]
        assert [argument.arg for argument in function.args.args] == row["arguments"]
        assert ast.get_docstring(function).endswith(".")


def test_good_answers_pass_their_tests_in_python_too(rows):
    for row in rows:
        assert row["chosen"].startswith("return ")
        results = python(row, row["chosen"])
        assert len(results) == len(row["tests"]) == 8
        assert all(results)


def test_bad_answers_fail_a_test_in_python_too(rows):
    for row in rows:
        if row["flaw"] in {"wrong_expression", "constant"}:
            assert not all(python(row, row["rejected"]))


def test_tests_are_different_and_no_constant_passes_most(rows):
    for row in rows:
        arguments, expected = zip(*row["tests"], strict=True)
        assert all(arguments.count(values) == 1 for values in arguments)
        assert max(expected.count(value) for value in expected) <= 6


def test_every_family_and_flaw_occurs(rows):
    names = {family.name for family in FAMILIES}
    assert len(names) == len(FAMILIES) >= 30
    assert {name for name in names if any(row["entry_point"].startswith(name) for row in rows)} == names
    flaws = Counter(row["flaw"] for row in rows)
    assert set(flaws) == set(FLAWS)
    assert min(flaws.values()) > 0.1 * len(rows)


def test_docstrings_tell_families_apart():
    """Two families with the same arguments never share a sentence, and no two say the same function."""
    assert len({(family.arguments, family.doc) for family in FAMILIES}) == len(FAMILIES)
    values = {"i": [-7, 0, 3, 4, 9], "t": ["", "a", "ab", "abc", "ba"]}
    seen = set()
    for family in FAMILIES:
        tree = parse_expression(family.expression.format(a="a", b="b", k=3))
        points = [
            {"a": one, "b": other} for one in values[family.arguments[0]][1:] for other in values[family.arguments[-1]]
        ]
        seen.add((family.arguments, repr([evaluate(tree, point) for point in points])))
    assert len(seen) == len(FAMILIES)
