import numpy as np
import pytest

from qstar_pl.data.encoding import Encoded
from qstar_pl.data.mixed_order import MixedOrder
from qstar_pl.data.order import TrainOrder
from qstar_pl.data.rows import PartRows
from qstar_pl.data.training_order import training_order
from qstar_pl.errors import UserError
from qstar_pl.types import Example, Turn


def rows(*parts):
    return [
        Encoded(Example(n, (Turn("user", "q"),), metadata={"part": part}), np.ones(1, np.int32), None, None, False, 0)
        for n, part in enumerate(parts)
    ]


def test_without_weights_every_row_is_seen_once():
    plain = TrainOrder(3, 2, 5)
    assert training_order(rows("a", "b", "a"), (), batch_size=2, seed=5) == plain
    parts = (PartRows("a", 2, None), PartRows("b", 1, None))
    assert training_order(rows("a", "b", "a"), parts, batch_size=2, seed=5) == plain


def test_with_weights_rows_are_grouped_by_part():
    parts = (PartRows("a", 2, 3.0), PartRows("b", 2, 1.0))
    order = training_order(rows("b", "a", "a", "b"), parts, batch_size=2, seed=5)
    assert order == MixedOrder(4, 2, 5, names=("a", "b"), parts=((1, 2), (0, 3)), weights=(3.0, 1.0))
    assert order.counts == [3, 1]
    with pytest.raises(UserError, match="part b must leave a row to train on"):
        training_order(rows("a", "a"), parts, batch_size=2, seed=5)
