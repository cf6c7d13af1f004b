"""Shares, passes and positions of a mixture's order."""

from collections import Counter
from itertools import chain

import numpy as np
import pytest

from qstar_pl.data.adapters.rows import PartRows
from qstar_pl.data.batches.mixing import MixedOrder, training_order
from qstar_pl.data.batches.order import Share, TrainOrder
from qstar_pl.data.text.encoding import Encoded
from qstar_pl.errors import UserError
from qstar_pl.types import Example, Turn

PARTS = (tuple(range(0, 30)), tuple(range(30, 33)), tuple(range(33, 50)))


def order(parts=PARTS, weights=(2, 1, 1), batch_size=5, seed=0, **options):
    rows = sum(map(len, parts))
    names = tuple(f"p{number}" for number in range(len(parts)))
    return MixedOrder(rows, batch_size, seed, names=names, parts=parts, weights=weights, **options)


def part_of(row, parts=PARTS):
    return next(number for number, rows in enumerate(parts) if row in rows)


def drawn(source, epochs):
    return [row for epoch in range(epochs) for row in source.permutation(epoch)]


@pytest.mark.parametrize("weights", [(2, 1, 1), (1, 1, 1), (0.5, 0.3, 0.2), (10, 2, 100)])
def test_shares_are_met_to_the_nearest_row_in_every_epoch(weights):
    source = order(weights=weights)
    assert sum(source.counts) == 50
    for count, weight in zip(source.counts, weights, strict=True):
        assert abs(count - 50 * weight / sum(weights)) < 1
    for epoch in range(4):
        found = Counter(map(part_of, source.permutation(epoch)))
        assert [found[part] for part in range(3)] == source.counts


def test_a_part_is_gone_through_before_it_repeats_across_epochs():
    rows = drawn(order(), 7)
    for number, part in enumerate(PARTS):
        stream = [row for row in rows if part_of(row) == number]
        size = len(part)
        passes = [stream[start : start + size] for start in range(0, len(stream) - size + 1, size)]
        assert len(passes) >= 3
        assert all(sorted(one) == list(part) for one in passes)
        assert len({tuple(one) for one in passes}) > 1  # in another order each time


def test_parts_are_mixed_within_an_epoch():
    labels = [part_of(row) for row in order().permutation(0)]
    assert labels != sorted(labels)
    assert labels != [part_of(row) for row in order().permutation(1)]
    assert max(Counter(labels[:10]).values()) < 10


def test_pure_function_of_seed_and_epoch():
    assert order().permutation(3) == order().permutation(3) != order(seed=1).permutation(3)
    assert order(shuffle=False).permutation(5) == order(shuffle=False).permutation(0)


def test_ranks_share_each_global_batch():
    alone = order(batch_size=6).epoch(1)
    ranks = [order(batch_size=3, share=Share(rank, 2)).epoch(1) for rank in range(2)]
    for batch, first, second in zip(alone, *ranks, strict=True):
        assert first + second == batch
    assert list(chain(*alone)) == order().permutation(1)[:48]


def test_weights_and_parts_are_part_of_the_fingerprint():
    keys = list(range(50))
    assert order().fingerprint(keys) == order().fingerprint(keys) != order(weights=(1, 1, 1)).fingerprint(keys)


def test_parts_that_would_never_be_seen():
    with pytest.raises(UserError, match="part p1 must leave a row to train on, got none"):
        order(parts=((0, 1), ()), weights=(1, 1))
    with pytest.raises(UserError, match="weight of p1 must give it a row in every epoch of 3 rows, got less"):
        order(parts=((0, 1), (2,)), weights=(100, 1), batch_size=1)


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
