import random

import numpy as np

from qstar_pl.data import single_turn
from qstar_pl.data.selection.splits import split_by_prompt
from qstar_pl.data.selection.subset import subset, subset_rank
from qstar_pl.data.text.encoding import Encoded
from qstar_pl.types import Example, Turn

EXAMPLES = [single_turn(f"q{number % 700}", f"a{number}") for number in range(2000)]


def contents(examples):
    return {(example.key, example.chosen, example.rejected) for example in examples}


def test_nested_in_any_file_order():
    shuffled = list(EXAMPLES)
    random.Random(0).shuffle(shuffled)
    previous = set()
    for size in (1, 10, 100, 500, 1000, 1999, 2000):
        chosen = subset(EXAMPLES, size)
        assert len(chosen) == size
        assert previous < contents(chosen)
        assert contents(subset(shuffled, size)) == contents(chosen)
        previous = contents(chosen)
    assert subset(EXAMPLES, 5000) == EXAMPLES


def test_order_of_the_file_is_kept():
    chosen = subset(EXAMPLES, 300)
    assert chosen == [example for example in EXAMPLES if example in chosen]


def test_rows_that_are_added_only_push_others_out():
    before = subset(EXAMPLES[:1500], 200)
    after = subset(EXAMPLES, 200)
    assert contents(after) & contents(EXAMPLES[:1500]) <= contents(before)


def test_equal_rows_and_metadata():
    twice = [single_turn("q", "a", metadata={"n": n}) for n in range(4)]
    assert len(subset(twice, 3)) == 3
    assert subset_rank(twice[0]) == subset_rank(twice[1])
    assert subset_rank(single_turn("q", "a", "b")) != subset_rank(twice[0])
    assert subset_rank(single_turn("q", None, None)) != subset_rank(single_turn("q", "None", None))


def test_spread_over_the_file_and_independent_of_the_splits():
    """A quarter of the rows: about a quarter of every stretch of the file and of the prompts' splits."""
    numbers = [int(example.chosen[1:]) for example in subset(EXAMPLES, 500)]
    for start in range(0, 2000, 500):
        assert abs(sum(start <= number < start + 500 for number in numbers) - 125) < 45  # over 4 standard deviations

    def test_part(examples):
        rows = [Encoded(example, np.ones(1, np.int32), None, None, False, 0) for example in examples]
        return split_by_prompt(rows, val_fraction=0.0, test_fraction=0.3, seed=0).test

    share = len(test_part(subset(EXAMPLES, 500))) / len(test_part(EXAMPLES))
    assert abs(share - 0.25) < 0.08


def test_known_rank():
    # `printf '["subset", 7, "a", null]' | b2sum -l 128`: a change would give every published subset other rows.
    example = Example(7, (Turn("user", "q"),), "a")
    assert subset_rank(example).hex() == "49c35653ce29eb958f255e8c9db4cb1f"
