from collections import defaultdict
from statistics import mean

import pytest

from qstar_pl.tiny_world.gold_code import known_tests, returned_expression
from qstar_pl.tiny_world.rows import programs

LARGER = [[[1, 2], 2], [[5, 3], 5], [[-4, -1], -1], [[7, 0], 7]]
EVEN = [[[1], False], [[2], True], [[3], False], [[8], True]]


@pytest.fixture(scope="module")
def rows():
    return programs(2000, 23)


def scored(row, side):
    return known_tests(row[side], row["arguments"], row["tests"])


def test_good_programs_beat_every_kind_of_bad_one(rows):
    bad = defaultdict(list)
    for row in rows:
        assert scored(row, "chosen") == pytest.approx(1.0)
        bad[row["flaw"]].append(scored(row, "rejected"))
    assert {flaw: mean(values) for flaw, values in bad.items() if mean(values) > 0.3} == {}


def test_chosen_wins_every_row(rows):
    assert all(scored(row, "chosen") > scored(row, "rejected") + 0.1 for row in rows)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("return max(a, b)", 1.0),
        (" return b if a < b else a\n", 1.0),
        ("return max(a, b)\nreturn max(a, b)", 0.7),
        # Passes [5, 3] and [7, 0]; the best constant passes one in four: (0.5 − 0.25) / 0.75.
        ("return a", 0.2 + 0.8 / 3),
        ("return min(a, b)", 0.2),
        ("return a > b", 0.1),
        # Fails on [7, 0] with a division by zero, else wrong.
        ("return a // b", 0.1 + 0.1 * 3 / 4),
        ("return 5", 0.05),
        ("return c", 0.05),
        ("return max(a,", 0.0),
        ("return", 0.0),
        ("returnmax(a, b)", 0.0),
        ("max(a, b)", 0.0),
        ("", 0.0),
        ("def larger(a, b):\n    return max(a, b)", 0.0),
        ("return a.__class__", 0.1),
        ("return a ** 999999999", 0.1),
        ("return 'x' * a * 999999999", 0.1),
    ],
)
def test_formula_by_hand(answer, expected):
    assert known_tests(answer, ["a", "b"], LARGER) == pytest.approx(expected)


def test_true_is_not_one():
    assert known_tests("return a % 2 == 0", ["a"], EVEN) == pytest.approx(1.0)
    # The right numbers, but the wrong type throughout.
    assert known_tests("return 1 - a % 2", ["a"], EVEN) == pytest.approx(0.1)


def test_guessing_one_answer_earns_no_share_of_the_tests():
    assert known_tests("return a == a", ["a"], EVEN) == pytest.approx(0.2)


def test_one_value_throughout_still_counts():
    assert known_tests("return a - a", ["a"], [[[1], 0], [[2], 0]]) == pytest.approx(1.0)
    assert known_tests("return a", ["a"], [[[1], 0], [[2], 0]]) == pytest.approx(0.2)


def test_no_tests_no_reward():
    assert known_tests("return a", ["a"], []) == 0.0


def test_reads_the_first_line_only():
    assert returned_expression("\n  return a + b  \nimport os") == "a + b"
    assert returned_expression("import os\nreturn a") is None
    assert returned_expression("return   ") is None
