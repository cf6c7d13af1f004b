"""The position: after k batches, what is left is what an uninterrupted run would have seen."""

import itertools

import numpy as np
import pytest
import torch

from qstar_pl.data.batches.collate import PromptCollate
from qstar_pl.data.batches.loader import EvaluationLoader, Position, Sealed, TrainLoader
from qstar_pl.data.batches.order import Share, TrainOrder
from qstar_pl.data.text.encoding import Encoded
from qstar_pl.types import Example, PromptBatch, Turn

ROWS = [
    Encoded(Example(key, (Turn("user", "q"),)), np.full(1 + key % 3, key, np.int32), None, None, False, 0)
    for key in range(22)
]
ALONE = Share()
BATCHES = 5  # of 4 rows; 2 rows are left over


def loader(*, num_workers=0, rows=ROWS, batch_size=4, share=ALONE, seed=0, limit=1.0, unprocessed=lambda: 0):
    order = TrainOrder(len(rows), batch_size, seed=seed, share=share, limit=limit)
    position = Position()
    return TrainLoader(rows, PromptCollate(0), order, position, num_workers=num_workers, unprocessed=unprocessed)


def run(source, count):
    """Take `count` batches as a trainer does: one iterator per epoch."""
    seen = []
    while len(seen) < count:
        seen += [batch.keys.tolist() for batch in itertools.islice(iter(source), count - len(seen))]
    return seen


@pytest.fixture(scope="module")
def uninterrupted():
    return run(loader(), 3 * BATCHES)


def test_epochs(uninterrupted):
    assert uninterrupted == [batch for epoch in range(3) for batch in TrainOrder(22, 4, seed=0).epoch(epoch)]


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("done", [0, 1, 3, BATCHES, BATCHES + 2, 2 * BATCHES])
def test_resume_gives_the_remaining_batches(uninterrupted, num_workers, done):
    first = loader(num_workers=num_workers)
    seen = run(first, done)
    state = first.state_dict()
    first.close()
    second = loader(num_workers=num_workers)
    second.load_state_dict(state)
    seen += run(second, 3 * BATCHES - done)
    second.close()
    assert seen == uninterrupted


def test_position_counts_batches_handed_out_not_prefetched():
    source = loader(num_workers=2)  # prefetches 4 batches
    iterator = iter(source)
    for count in range(BATCHES - 1):
        assert source.state_dict()["rows"] == 4 * count
        next(iterator)
    assert source.state_dict()["epoch"] == 0
    next(iterator)
    assert (source.state_dict()["epoch"], source.state_dict()["rows"]) == (1, 0)
    assert next(iterator, None) is None
    source.close()


def test_iterating_again_goes_on_and_an_unused_iterator_changes_nothing(uninterrupted):
    source = loader()
    iter(source)
    assert run(source, 2) == uninterrupted[:2]
    iter(source)
    assert [batch.keys.tolist() for batch in source] == uninterrupted[2:BATCHES]  # the rest of the epoch
    assert [batch.keys.tolist() for batch in source] == uninterrupted[BATCHES : 2 * BATCHES]


def test_a_limit_makes_epochs_shorter():
    source = loader(limit=2)
    assert len(source) == BATCHES  # Lightning applies its limit to this
    orders = [TrainOrder(22, 4, seed=0).epoch(epoch) for epoch in range(2)]
    assert run(source, 3) == [*orders[0][:2], orders[1][0]]


def test_a_batch_that_failed_is_taken_again():
    for taken, expected in ((2, (0, 4)), (BATCHES, (0, 16)), (BATCHES + 1, (1, 0))):
        source = loader(unprocessed=lambda: 1)
        run(source, taken)
        state = source.state_dict()
        assert (state["epoch"], state["rows"]) == expected


def test_ranks_resume_together(uninterrupted):
    for rank in range(2):
        share = Share(rank, 2)
        first = loader(batch_size=2, share=share)
        run(first, 3)
        second = loader(batch_size=2, share=share)
        second.load_state_dict(first.state_dict())
        assert run(second, 4) == [batch[2 * rank : 2 * rank + 2] for batch in uninterrupted[3:7]]


def test_position_survives_other_batch_and_world_sizes(uninterrupted):
    first = loader()
    run(first, 2)
    half = loader(batch_size=2)
    half.load_state_dict(first.state_dict())
    assert list(itertools.chain(*run(half, 2))) == uninterrupted[2]
    one_of_two = loader(batch_size=2, share=Share(1, 2))
    one_of_two.load_state_dict(first.state_dict())
    assert run(one_of_two, 1) == [uninterrupted[2][2:]]
    # A larger batch that would begin in the middle begins where no row is left out.
    run(first, 1)
    double = loader(batch_size=8)
    double.load_state_dict(first.state_dict())
    assert double.position == Position(0, 1)


def test_other_data_are_reported():
    state = loader().state_dict()
    same = loader()
    same.load_state_dict(state)
    for other in (loader(rows=ROWS[:21]), loader(seed=1), loader(rows=ROWS[::-1])):
        with pytest.warns(UserWarning, match="differ from the checkpoint's"):
            other.load_state_dict(state)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_iterating_leaves_the_global_random_state_alone(num_workers):
    source = loader(num_workers=num_workers)
    before = torch.get_rng_state()
    run(source, 2 * BATCHES)
    source.close()
    assert torch.equal(torch.get_rng_state(), before)


def test_workers_stop_even_if_something_still_refers_to_the_iterator():
    source = loader(num_workers=2)
    run(source, BATCHES)
    kept = source._loader._iterator
    source.close()
    assert not any(worker.is_alive() for worker in kept._workers)


def test_sealed_batches():
    order = TrainOrder(22, 4, seed=0)
    sealed = next(iter(TrainLoader(ROWS, PromptCollate(0), order, Position(), seal=True)))
    assert isinstance(sealed, Sealed)
    batch = sealed.to("cpu")
    assert isinstance(batch, PromptBatch)
    assert batch.keys.tolist() == order.epoch(0)[0]


def test_evaluation_repeats_itself():
    source = EvaluationLoader(ROWS, PromptCollate(0), [[3, 1], [2]], seal=False)
    assert len(source) == 2
    assert [batch.keys.tolist() for batch in source] == [batch.keys.tolist() for batch in source] == [[3, 1], [2]]
    sealed = EvaluationLoader(ROWS, PromptCollate(0), [[3, 1], [2]], seal=True)
    assert all(isinstance(batch, Sealed) for batch in sealed)
