"""Rows and their groups, and what is refused."""

import numpy as np
import pytest

from qstar_pl.errors import UserError
from qstar_pl.evaluation.statistics.rows import rows_of


def test_groups_are_numbered_as_they_appear_and_added_up() -> None:
    rows = rows_of([[1, 10], [2, 20], [4, 40], [8, 80]], ["b", ("a", 1), "b", None], [True, True, True, False])
    assert rows.names == ("b", ("a", 1))
    assert rows.sums.tolist() == [[5, 50], [2, 20]]
    assert rows.sizes.tolist() == [2, 1]


def test_what_is_masked_may_be_anything() -> None:
    assert rows_of([1, np.nan], mask=[True, False]).values.tolist() == [[1]]
    assert rows_of([]).groups == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2], ["a"]), "groups must name the group of each of 2 rows, got 1"),
        (([1, np.nan],), "values must be finite, got nan in row 2"),
        (([[1, 2], [3, np.inf]],), r"values must be finite, got \[3.0, inf\] in row 2"),
        (([1, 2], None, [True]), r"mask must say of each of 2 rows whether it counts, got shape \(1,\)"),
        (([[[1]]],), r"values must be \[rows\] or \[rows, width\], got 3 dimensions"),
    ],
    ids=["groups", "nan", "infinite", "mask", "dimensions"],
)
def test_mistakes(arguments: tuple[list[float]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        rows_of(*arguments)
