import math

import pytest

from qstar_pl.checks import at_least, not_empty, positive, within
from qstar_pl.errors import UserError


def test_what_passes():
    at_least(1, a=1, b=2.5, c=None)
    positive(a=1e-300, b=math.inf, c=None)
    within("[0, 1)", a=0, b=0.5, c=None)
    within("(0, 1]", a=1, b=1e-9)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: at_least(1, a=1, b=0), "b must be at least 1, got 0"),
        (lambda: at_least(0, a=math.nan), "a must be at least 0, got nan"),
        (lambda: positive(a=0.0), "a must be positive, got 0.0"),
        (lambda: positive(**{"model.a": math.nan}), "model.a must be positive, got nan"),
        (lambda: within("[0, 1)", a=1), "a must lie in [0, 1), got 1"),
        (lambda: within("(0, 1]", a=0), "a must lie in (0, 1], got 0"),
        (lambda: within("[0, 0.5)", a=0.2, b=-0.1), "b must lie in [0, 0.5), got -0.1"),
        (lambda: within("[0, 1]", a=math.nan), "a must lie in [0, 1], got nan"),
    ],
)
def test_what_is_refused(check, message):
    with pytest.raises(UserError) as caught:
        check()
    assert str(caught.value) == message


def test_a_place_has_a_name():
    not_empty(output="a", from_scores=None)
    for empty in ("", " "):
        with pytest.raises(UserError, match=r"^from_scores must name a file or a folder, got nothing$"):
            not_empty(output=".", from_scores=empty)
