import re
from collections import Counter

import pytest

from qstar_pl.data.adapters.rows import Rows
from qstar_pl.data.selection.left_out import check_share, lines
from qstar_pl.errors import UserError


def test_reasons_are_sorted_and_say_where_they_are_met_first() -> None:
    assert lines({"b": 1, "a": 12}, {"a": "x.jsonl:3", "c": "x.jsonl:1"}) == [
        "  12 left out: a; first x.jsonl:3",
        "  1 left out: b",
    ]
    assert lines({}, {"a": "x.jsonl:3"}) == []


@pytest.mark.parametrize(
    ("left_out", "read", "said"), [(7, 12, "0.584"), (1, 2, "0.5"), (1, 3, "0.334"), (2, 3, "0.667")]
)
def test_the_limit_that_is_said_is_rounded_up(left_out: int, read: int, said: str) -> None:
    with pytest.raises(UserError, match=f"max_left_out must be at least {re.escape(said)}, the share of x"):
        check_share("x", Rows([], read, Counter(bad=left_out)), 0)


def test_whoever_sets_the_limit_that_is_said_is_not_refused_again() -> None:
    counts = [(left_out, read) for read in range(2, 120) for left_out in range(1, read)]
    for left_out, read in [*counts, (1, 1_234_567), (1_234_566, 1_234_567), (29_001, 100_000_000)]:
        rows = Rows([], read, Counter(bad=left_out))
        with pytest.raises(UserError) as error:
            check_share("x", rows, 0)
        said = re.search(r"at least (\S+),", str(error.value))
        assert said is not None
        check_share("x", rows, float(said[1]))
