from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from qstar_pl.data import DuplicatePrompts, LengthFilter, single_turn
from qstar_pl.data.adapters.rows import Rows
from qstar_pl.data.selection.preparation import Parting, Preparation, Selection
from qstar_pl.data.selection.subset import subset
from qstar_pl.data.text.encoding import Encoder
from qstar_pl.errors import UserError
from qstar_pl.types import Example, Turn

EXAMPLES = [single_turn(f"question {number % 80}", f"answer {number}") for number in range(100)]
PARTING = Parting(val_fraction=0.2, test_fraction=0.2, val_limit=None, test_limit=None, seed=0)


def test_filters_come_before_the_subset_and_all_is_counted():
    selection = Selection((LengthFilter(min_response=len("answer 10")), DuplicatePrompts()), subset_size=30)
    kept, rejected = selection.apply(EXAMPLES, None)
    long_enough = EXAMPLES[10:]
    assert rejected == Counter(
        {
            "an answer has less than 9 characters": 10,
            "another row has the same prompt": 10,
            "outside the subset of 30 rows": 50,
        }
    )
    distinct = [one for one in long_enough if one in Selection((DuplicatePrompts(),)).apply(long_enough, None)[0]]
    assert kept == subset(distinct, 30)
    assert Selection(subset_size=100).apply(EXAMPLES, None) == (EXAMPLES, Counter())


def test_nested_subsets_have_nested_splits(tokenizer):
    rows = Rows(EXAMPLES, 100)
    parts = []
    for size in (20, 50, 100):
        preparation = Preparation(Selection(subset_size=size), PARTING, cache=False, cache_dir=None)
        splits = preparation.prepare(rows, Encoder(tokenizer, 50, 20), "x").splits
        parts.append([{one.example.chosen for one in part} for part in (splits.train, splits.val, splits.test)])
    for small, large in pairwise(parts):
        assert all(mine <= theirs for mine, theirs in zip(small, large, strict=True))
        assert sum(map(len, small)) < sum(map(len, large))


def test_fewer_rows_to_train_on_are_nested_and_leave_the_other_splits_alone(tokenizer):
    rows = Rows(EXAMPLES, 100)
    parts = []
    for limit in (10, 30, None):
        preparation = Preparation(Selection(), replace(PARTING, train_limit=limit), cache=False, cache_dir=None)
        splits = preparation.prepare(rows, Encoder(tokenizer, 50, 20), "x").splits
        parts.append([[one.example.chosen for one in part] for part in (splits.train, splits.val, splits.test)])
    assert [len(train) for train, *_ in parts[:2]] == [10, 30]
    assert parts[0][1:] == parts[1][1:] == parts[2][1:]
    whole = parts[2][0]
    for (small, *_), (large, *_) in pairwise(parts):
        assert small == [one for one in large if one in small]  # in their order
    assert not set(parts[0][0]) <= set(whole[:10])  # from everywhere


def test_a_system_prompt_is_a_turn_and_moves_no_row():
    own = Example(1, (Turn("system", "mine"), Turn("user", "q")))
    kept, _ = Selection(system_prompt="Be kind.").apply([EXAMPLES[0], own], None)
    assert kept[0].turns == (Turn("system", "Be kind."), *EXAMPLES[0].turns)
    assert kept[0].key == EXAMPLES[0].key
    assert kept[1] is own


def test_out_of_range():
    with pytest.raises(UserError, match="subset_size must be at least 1, got 0"):
        Selection(subset_size=0)
    with pytest.raises(UserError, match="train_limit must be at least 1, got 0"):
        Parting(0.1, 0.1, None, None, 0, train_limit=0)
    with pytest.raises(UserError, match="test_limit must be at least 1, got 0"):
        Parting(0.1, 0.1, None, 0, 0)


def test_nothing_left(tokenizer):
    preparation = Preparation(Selection((LengthFilter(min_prompt=99),)), PARTING, cache=False, cache_dir=None)
    with pytest.raises(UserError, match=r"got 100 rows in x \(100: the prompt has less than 99 characters\)"):
        preparation.prepare(Rows(EXAMPLES, 100), Encoder(tokenizer, 50, 20), "x")
