import pytest

from qstar_pl.data import RangeFilter
from qstar_pl.errors import UserError
from qstar_pl.types import Example, Turn


def example(**columns):
    return Example(1, (Turn("user", "x"),), metadata={"source": "f:1", "row": columns})


def test_numbers_of_the_row_and_of_the_metadata():
    rows = [example(n=value) for value in (1, "2.5", 4, None)]
    kept = RangeFilter("n", minimum=2, maximum=3).reasons(rows, None)
    assert kept == ["n is below 2", None, "n is above 3", "n is missing"]
    made = Example(1, (Turn("user", "x"),), metadata={"score_ratio": 3.0, "row": {"score_ratio": 0.0}})
    assert RangeFilter(minimum=2).reasons([made], None) == [None]
    assert RangeFilter("info.n", maximum=2).reasons([example(info={"n": 2})], None) == [None]


def test_mistakes():
    with pytest.raises(UserError, match="minimum must be given, or maximum"):
        RangeFilter("n")
    with pytest.raises(UserError, match="maximum must be at least minimum, got 1 and 2"):
        RangeFilter("n", 2, 1)
    with pytest.raises(UserError, match="f:1: RangeFilter needs the column m; there is n"):
        RangeFilter("m", 1).reasons([example(n=1)], None)
    with pytest.raises(UserError, match="f:1: n must be a number, got str"):
        RangeFilter("n", 1).reasons([example(n="many")], None)
