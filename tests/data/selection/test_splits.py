import random

import numpy as np
import pytest

from qstar_pl.data.selection.splits import check_fractions, prompt_positions, split_by_prompt
from qstar_pl.data.text.encoding import Encoded
from qstar_pl.data.text.keys import prompt_key
from qstar_pl.errors import UserError
from qstar_pl.hashing import number
from qstar_pl.types import Example, Turn


def row(number, answer="a", part=None):
    text = f"question {number}"
    example = Example(prompt_key(text), (Turn("user", text),), answer, metadata={} if part is None else {"part": part})
    return Encoded(example, np.ones(1, np.int32), None, None, False, 0)


def split(rows, **options):
    return split_by_prompt(rows, **({"val_fraction": 0.2, "test_fraction": 0.1, "seed": 0} | options))


def keys(part):
    return [item.example.key for item in part]


def answers(part):
    return [(item.example.key, item.example.chosen) for item in part]


ROWS = [row(number) for number in range(2000)]


def test_every_row_once_and_about_the_right_sizes():
    splits = split(ROWS)
    assert sorted(keys([*splits.train, *splits.val, *splits.test])) == sorted(keys(ROWS))
    # Binomial, four standard deviations: 400 ± 72 and 200 ± 54.
    assert abs(len(splits.val) - 400) < 72
    assert abs(len(splits.test) - 200) < 54
    assert keys(splits.train) == [key for key in keys(ROWS) if key in set(keys(splits.train))]  # in input order


def test_parts_that_are_held_out_are_not_trained_on():
    """Theirs go where all held-out rows go, in the same proportion; rows of other parts with their prompts go along."""
    out = [row(number, part="out") for number in range(500, 1500)]
    trained = [row(number, part="in") for number in range(1000)]
    splits = split([*trained, *out], held_out=["out"])
    assert set(keys(splits.train)) == set(keys(split(trained[:500]).train))
    assert {key for key in keys(splits.val) if key in set(keys(trained[:500]))} == set(keys(split(trained[:500]).val))
    held = [[one for one in part if one.example.metadata["part"] == "out"] for part in (splits.val, splits.test)]
    assert sum(map(len, held)) == 1000
    assert abs(len(held[0]) - 667) < 60  # binomial, four standard deviations
    first = [one.example.metadata["part"] == "out" for one in splits.val[:200]]
    everywhere = [one.example.metadata["part"] == "out" for one in splits.val]
    assert abs(sum(first) / 200 - sum(everywhere) / len(everywhere)) < 0.15  # mixed: the first n are a fair sample


def test_what_is_held_out_must_go_somewhere():
    rows = [row(0, part="in"), row(1, part="out")]
    with pytest.raises(
        UserError, match=r"val_fraction \+ test_fraction must be above 0 where a part is held out, got 0"
    ):
        split(rows, val_fraction=0.0, test_fraction=0.0, held_out=["out"])
    splits = split(ROWS, val_fraction=1.0, test_fraction=0.0, held_out=["out"])
    assert len(splits.val) == len(ROWS)


def test_rows_of_one_prompt_stay_together():
    rows = [row(number % 300, answer=str(number)) for number in range(1500)]
    splits = split(rows)
    sets = [set(keys(part)) for part in (splits.train, splits.val, splits.test)]
    assert all(sets)
    assert sum(map(len, sets)) == len(set.union(*sets)) == 300
    assert all(keys(splits.val).count(key) == 5 for key in sets[1])


def test_stable_under_file_order_and_removal():
    shuffled = list(ROWS)
    random.Random(1).shuffle(shuffled)
    before, after = split(ROWS), split(shuffled[:1500])
    kept = set(keys(shuffled[:1500]))
    for name in ("val", "test"):
        assert keys(getattr(after, name)) == [key for key in keys(getattr(before, name)) if key in kept]
    assert set(keys(after.train)) == set(keys(before.train)) & kept


def test_the_seed_and_only_the_seed_reshuffles():
    assert set(keys(split(ROWS).test)) == set(keys(split(ROWS).test))
    other = set(keys(split(ROWS, seed=1).test))
    assert len(other & set(keys(split(ROWS).test))) < 60  # 20 expected
    assert keys(split(ROWS, val_fraction=0.4).test) == keys(split(ROWS).test)


def test_first_of_val_is_not_first_of_file():
    first = [keys(ROWS).index(key) for key in keys(split(ROWS).val[:50])]
    assert max(first) > 1000
    assert min(first) < 1000


def test_positions_are_uniform():
    positions = prompt_positions([prompt_key(str(number)) for number in range(4000)], 3)
    assert (positions >= 0).all()
    assert (positions < 1).all()
    histogram = np.histogram(positions, bins=10, range=(0, 1))[0]
    assert ((histogram - 400) ** 2 / 400).sum() < 27.9  # chi-square, 9 degrees of freedom, p = 0.001


def test_extreme_fractions():
    assert len(split(ROWS, val_fraction=0.0, test_fraction=0.0).train) == 2000
    assert len(split(ROWS, val_fraction=0.0, test_fraction=1.0).test) == 2000


@pytest.mark.parametrize(
    ("val", "test", "message"),
    [
        (-0.1, 0.1, r"val_fraction must lie in \[0, 1\], got -0.1"),
        (0.1, 1.5, r"test_fraction must lie in \[0, 1\], got 1.5"),
        (0.6, 0.5, r"val_fraction \+ test_fraction must be at most 1, got 0.6 \+ 0.5"),
    ],
)
def test_fractions_out_of_range(val, test, message):
    with pytest.raises(UserError, match=message):
        check_fractions(val, test)


def test_positions_are_hashes_of_seed_and_key() -> None:
    keys_ = [0, 7, 2**63 - 1]
    assert prompt_positions(keys_, 5).tolist() == [number(f"5:{key}", bits=53) / 2**53 for key in keys_]
    assert len(prompt_positions([], 5)) == 0
