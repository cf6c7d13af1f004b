"""What containers are taken apart into, and made from again."""

import json
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple

import pytest

from qstar_pl.sandbox.codec import CodecError
from qstar_pl.sandbox.containers import CHANGING, empty, fill, shape_of, whole
from qstar_pl.sandbox.graph import pack_once, unpack_once


class Slotted:
    __slots__ = ("x",)


class Agreeable(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


class Things(list):
    pass


def over(value):
    return unpack_once(json.loads(pack_once(value)))


def remade(value, classes):
    tag, extra, parts = shape_of(value, classes)
    if tag not in CHANGING:
        return whole(tag, extra, list(parts), classes)
    made = empty(tag, extra, classes)
    fill(made, tag, list(parts))
    return made


@pytest.mark.parametrize(
    "value",
    [
        *[[1, 2], (1, 2), {1, 2}, frozenset({1}), {"a": 1, 2: "b"}, bytearray(b"ab"), deque([1, 2], 3)],
        *[Counter("aab"), OrderedDict(b=1, a=2), defaultdict(list, {1: 2}), {"a": 1}.keys(), {"a": 1}.items()],
        *[[], (), {}, KeyError("x"), OSError(2, "no such file", "x")],
    ],
    ids=repr,
)
def test_each_kind_is_made_again(value):
    made = remade(value, {})
    assert type(made) is type(value)
    assert repr(made) == repr(value)


def test_bounds_and_factories_are_kept():
    assert remade(deque([1], 7), {}).maxlen == 7
    assert remade(defaultdict(int), {}).default_factory is int
    assert remade(defaultdict(lambda: 0), {}).default_factory is None  # a function of one side's


def test_objects_of_known_classes_are_their_attributes():
    value = Slotted()
    assert shape_of(value, {}) is None
    assert shape_of(value, {"Slotted": type("Slotted", (), {})}) is None
    value.x = 5
    assert remade(value, {"Slotted": Slotted}).x == 5
    assert not hasattr(remade(Slotted(), {"Slotted": Slotted}), "x")


@pytest.mark.parametrize(
    "value", [5, "x", None, len, iter([]), object(), range(3), 1 + 2j], ids=lambda value: type(value).__name__
)
def test_what_is_no_container(value):
    assert shape_of(value, {}) is None


def test_subclasses_become_plain():
    for value, plain in [(Agreeable(1), 1), (Things([1]), [1]), (Counter("aab"), Counter("aab"))]:
        there = over(value)
        assert type(there) is type(plain)
        assert there == plain
    assert over(Agreeable(1)) != 2
    there = over(namedtuple("point", "x y")(1, [2]))
    assert (there, there.y, type(there).__name__) == ((1, [2]), [2], "point")


def test_an_unknown_kind_is_refused():
    with pytest.raises(CodecError, match="known tag"):
        whole("what", None, [], {})


@pytest.mark.parametrize("items", [[1], [1, 2, 3]])
@pytest.mark.parametrize("known", [True, False])
def test_a_named_tuple_of_another_length_is_refused(items, known):
    classes = {"point": namedtuple("point", "x y")} if known else {}
    with pytest.raises(CodecError, match="as many items as fields"):
        whole("named", ["point", ["x", "y"]], items, classes)
