import math
from decimal import Decimal
from fractions import Fraction

import pytest

from qstar_pl.sandbox.comparison import same_output, same_value


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
        # A whole number is the expected one exactly, however it is written.
        ("1000004.0", "1000000", False),
        ("1000004", "1000000.0", False),
        ("1000004.0", "1000000.0", False),
        ("1000000.0", "1000000", True),
        ("1e20", "100000000000000000000", True),
        ("1e20", "100000000000000000001", False),
        ("0.99999999", "1", False),
        ("0.99999999", "1.0", True),
        ("1000000.4", "1000000.0", True),
        # Infinity is no tolerance.
        ("5.0", "1e999", False),
        ("1e999", "5.0", False),
        ("inf", "inf", True),
        # What is no number, or no blank, in ASCII.
        ("1_0.5", "10.5", False),
        ("１.5", "1.5", False),
        ("1e99999999", "1.0", False),
        ("a\x1cb", "a\nb", False),
        ("a\u2028b", "a\nb", False),
        ("a\xa0b", "a b", False),
        ("a\x00", "a", False),
    ],
)
def test_printed_output(printed, expected, same):
    assert same_output(printed.encode(), expected.encode()) is same


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
        (1.0, math.inf, False),
        (math.inf, math.inf, True),
        (-math.inf, math.inf, False),
        (10**400, math.inf, False),
        (1000004.0, 1000000, False),
        (1000004, 1000000.0, False),
        (1000004.0, 1000000.0, False),
        (1000000.0, 1000000, True),
        (0.9999999999, 1, False),
        (0.9999999999, 1.0, True),
        (Decimal("sNaN"), 1.0, False),
        (Decimal("1e9999"), 1.0, False),
        (Fraction(1, 3), 0.333333333, True),
        (10**400, 1.0, False),
        ("1", 1, False),
        (None, [], False),
        (NotImplemented, 1, False),
    ],
    ids=repr,
)
def test_returned_values(returned, expected, same):
    assert same_value(returned, expected) is same
