from itertools import chain

import numpy as np
import pytest

from qstar_pl.data.text.encoding import Encoded
from qstar_pl.generation.plan import plan_batches, prompts_digest
from qstar_pl.types import Example, Turn


def test_every_prompt_is_in_one_batch_longest_first_with_its_like():
    plan = plan_batches([3, 9, 3, 7, 8], batch_size=2, samples=3)
    assert plan.batches == ((1, 4), (3, 0), (2,))
    assert plan.rows == 15
    assert plan.rows_of(1) == [9, 10, 11, 0, 1, 2]
    assert sorted(row for batch in range(3) for row in plan.rows_of(batch)) == list(range(15))


def test_units_of_several_batches_hold_prompts_of_all_lengths_and_are_enough_to_share():
    plan = plan_batches(list(range(100, 0, -1)), batch_size=3, samples=1, refill=True)
    batches = plan_batches(list(range(100, 0, -1)), batch_size=3, samples=1).batches
    assert (len(batches), len(plan.batches)) == (34, 4)
    assert plan.batches[3] == tuple(chain.from_iterable(batches[3::4]))
    assert sorted(row for unit in range(4) for row in plan.rows_of(unit)) == list(range(100))
    # What is too little to be shared stays as it is.
    assert plan_batches([5] * 8, batch_size=2, samples=1, refill=True).batches == plan_batches([5] * 8, 2, 1).batches


@pytest.mark.parametrize(("batches", "units"), [(1, 1), (4, 4), (5, 4), (64, 4), (65, 5), (1000, 63)])
def test_no_unit_has_more_than_sixteen_batches(batches, units):
    plan = plan_batches([5] * batches, batch_size=1, samples=1, refill=True)
    assert len(plan.batches) == units
    assert max(map(len, plan.batches)) <= 16


def test_digest_sees_order_tokens_and_fields():
    def prompt(key: int, ids: list[int], field: str = "a") -> Encoded:
        example = Example(key, (Turn("user", "x"),), metadata={"row": {"field": field}})
        return Encoded(example, np.array(ids, np.int32), None, None, False, 0)

    base = [prompt(1, [1, 2]), prompt(2, [3])]
    digests = {
        prompts_digest(base),
        prompts_digest(base[::-1]),
        prompts_digest([prompt(1, [1, 3]), prompt(2, [3])]),
        prompts_digest([prompt(1, [1]), prompt(2, [2, 3])]),
        prompts_digest([prompt(1, [1, 2], "b"), prompt(2, [3])]),
    }
    assert len(digests) == 5
    assert prompts_digest(base) == prompts_digest([prompt(1, [1, 2]), prompt(2, [3])])
