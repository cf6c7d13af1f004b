import math

import pytest

from qstar_pl.execution.comparison import same_output, same_value


@pytest.mark.parametrize(
    ("printed", "expected", "same"),
    [
        ("1\n2\n", "1\n2", True),
        ("  1  2 \r\n3\n\n", "1 2\n3\n", True),
        ("1 2", "1\n2", False),
        ("2\n1", "1\n2", False),
        ("", "", True),
        ("", "0", False),
        ("1\n2\n3", "1\n2", False),
        ("YES", "yes", False),
        ("0.3333333", "0.33333333333", True),
        ("0.3334", "0.33333333333", False),
        ("1", "1.0", True),
        ("1e3", "1000", True),
        ("1001", "1000", False),
        ("1000001", "1000000", False),
        ("nan", "1.0", False),
        ("inf", "1.0", False),
        ("1e999", "1e998", False),
        ("x.5", "0.5", False),
        ("a.b", "a.b", True),
    ],
)
def test_printed_output(printed, expected, same):
    assert same_output(printed, expected) is same


@pytest.mark.parametrize(
    ("returned", "expected", "same"),
    [
        (9, 9, True),
        (9, [9], True),
        ((1, 2), [1, 2], True),
        ([(1, 2)], [[1, 2]], True),
        ([1, 2], [[1, 2]], True),
        (1, [1, 2], False),
        ([1, 2], [1, 2, 3], False),
        ([2, 1], [1, 2], False),
        ({1: "a"}, {"1": "a"}, True),
        ({1: "a"}, {"1": "b"}, False),
        ({1: "a", 2: "b"}, {"1": "a"}, False),
        (0.1 + 0.2, 0.3, True),
        (0.31, 0.3, False),
        (math.nan, math.nan, False),
        (math.inf, 1.0, False),
        (10**400, 1.0, False),
        ("1", 1, False),
        (None, [], False),
        (NotImplemented, 1, False),
    ],
    ids=repr,
)
def test_returned_values(returned, expected, same):
    assert same_value(returned, expected) is same
