from collections import Counter
from dataclasses import dataclass

from qstar_pl.data import DuplicatePrompts, RowFilter, single_turn
from qstar_pl.data.selection.filters import apply_filters
from qstar_pl.data.selection.subset import subset_rank


@dataclass(frozen=True)
class Without(RowFilter):
    letter: str

    def reasons(self, examples, tokenizer):
        return [f"has {self.letter}" if self.letter in example.chosen else None for example in examples]


def test_filters_follow_each_other_and_are_counted():
    examples = [single_turn("q", text) for text in ("ab", "a", "b", "c", "bc")]
    kept, rejected = apply_filters([Without("a"), Without("b")], examples, None)
    assert [example.chosen for example in kept] == ["c"]
    assert rejected == Counter({"has a": 2, "has b": 2})
    assert apply_filters([], examples, None) == (examples, Counter())


def test_duplicate_prompts_keep_one_row_whatever_the_order():
    examples = [single_turn(f"q{n % 3}", f"a{n}") for n in range(12)]
    kept, rejected = apply_filters([DuplicatePrompts()], examples, None)
    assert rejected == {"another row has the same prompt": 9}
    for number in range(3):
        same = [example for example in examples if example.turns[0].content == f"q{number}"]
        assert [one for one in kept if one in same] == [min(same, key=subset_rank)]
    assert {one.chosen for one in apply_filters([DuplicatePrompts()], examples[::-1], None)[0]} == {
        one.chosen for one in kept
    }
    equal = [single_turn("q", "a"), single_turn("q", "a")]
    assert len(apply_filters([DuplicatePrompts()], equal, None)[0]) == 1
