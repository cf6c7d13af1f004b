from collections import Counter
from itertools import combinations

from qstar_pl.tiny_world.world import ATTRIBUTES, COURTESIES, CREATURES, CUES, VALUES


def test_size():
    assert 20 <= len(CREATURES) <= 30
    assert all(tuple(facts) == ATTRIBUTES for facts in CREATURES.values())


def test_no_value_is_a_safe_guess():
    for attribute in ATTRIBUTES:
        counts = Counter(facts[attribute] for facts in CREATURES.values())
        assert set(counts.values()) == {3}
        assert len(VALUES[attribute]) == 8


def test_creatures_agree_in_one_attribute_at_most():
    for one, other in combinations(CREATURES.values(), 2):
        assert sum(one[attribute] == other[attribute] for attribute in ATTRIBUTES) <= 1


def test_no_word_has_two_meanings():
    names = [*CREATURES, *(value for values in VALUES.values() for value in values)]
    assert len(names) == len(set(names))
    spoken = {word.strip("!").lower() for phrase in COURTESIES for word in phrase.split()}
    assert not spoken & set(names)
    assert not set(names) & {cue for cues in CUES.values() for cue in cues}
