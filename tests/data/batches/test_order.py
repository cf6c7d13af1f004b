import pytest

from qstar_pl.data.batches.order import Share, TrainOrder, evaluation_batches
from qstar_pl.errors import UserError


def flat(batches):
    return [index for batch in batches for index in batch]


def test_an_epoch_is_a_permutation_and_epochs_differ():
    order = TrainOrder(rows=24, batch_size=4, seed=0)
    first, second = order.epoch(0), order.epoch(1)
    assert [len(batch) for batch in first] == [4] * 6
    assert sorted(flat(first)) == sorted(flat(second)) == list(range(24))
    assert flat(first) not in (flat(second), list(range(24)))


def test_pure_function_of_seed_and_epoch():
    assert TrainOrder(50, 4, seed=3).epoch(7) == TrainOrder(50, 4, seed=3).epoch(7)
    assert TrainOrder(50, 4, seed=3).epoch(7) != TrainOrder(50, 4, seed=4).epoch(7)
    # Not of (seed + epoch), as where an epoch's number is added to the seed.
    assert TrainOrder(50, 4, seed=3).epoch(7) != TrainOrder(50, 4, seed=4).epoch(6)
    assert flat(TrainOrder(8, 2, seed=0, shuffle=False).epoch(5)) == list(range(8))


def test_incomplete_batches_are_dropped_unless_there_is_no_other():
    assert [len(batch) for batch in TrainOrder(11, 4, seed=0).epoch(0)] == [4, 4]
    assert [len(batch) for batch in TrainOrder(3, 4, seed=0).epoch(0)] == [3]
    left_out = {next(iter(set(range(9)) - set(flat(TrainOrder(9, 4, 0).epoch(epoch))))) for epoch in range(60)}
    assert len(left_out) == 9  # another row is left over in each epoch


@pytest.mark.parametrize("rows", [24, 27, 31])
@pytest.mark.parametrize("world", [2, 3, 4])
def test_ranks_share_each_global_batch(rows, world):
    ranks = [TrainOrder(rows, 2, seed=1, share=Share(rank, world)).epoch(2) for rank in range(world)]
    alone = TrainOrder(rows, 2 * world, seed=1).epoch(2)
    for batch, *parts in zip(alone, *ranks, strict=True):
        assert [len(part) for part in parts] == [2] * world
        assert flat(parts) == batch


def test_few_rows_on_many_ranks():
    ranks = [TrainOrder(7, 8, seed=0, share=Share(rank, 3)).epoch(0) for rank in range(3)]
    assert [[len(batch) for batch in batches] for batches in ranks] == [[2]] * 3
    assert len(set(flat(map(flat, ranks)))) == 6
    with pytest.raises(UserError, match="the training split must have a row for each of 3 processes, got 2"):
        TrainOrder(2, 8, seed=0, share=Share(0, 3))


@pytest.mark.parametrize(("limit", "batches"), [(1.0, 6), (0.5, 3), (0.4, 2), (1, 1), (4, 4), (99, 6), (0, 1)])
def test_limit(limit, batches):
    order = TrainOrder(24, 4, seed=0, limit=limit)
    assert order.epoch_batches == len(order.epoch(0)) == batches
    assert order.batches == 6
    assert order.epoch(0) == TrainOrder(24, 4, seed=0).epoch(0)[:batches]


@pytest.mark.parametrize("world", [1, 2, 3, 5])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 8])
def test_evaluation_sees_every_row_once_in_lockstep(world, batch_size):
    for rows in range(world, 40):
        ranks = [evaluation_batches(rows, batch_size, Share(rank, world)) for rank in range(world)]
        assert sorted(flat(map(flat, ranks))) == list(range(rows))
        assert len({len(batches) for batches in ranks}) == 1
        sizes = [len(batch) for batches in ranks for batch in batches]
        assert min(sizes) >= 1
        assert max(sizes) <= (batch_size if batch_size > 1 else 2)


def test_evaluation_on_one_process_is_plain():
    assert evaluation_batches(5, 2, Share()) == [[0, 1], [2, 3], [4]]
    with pytest.raises(UserError, match="an evaluation split must have a row for each of 3 processes, got 2"):
        evaluation_batches(2, 2, Share(0, 3))
