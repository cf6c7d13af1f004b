"""Values between two sides that keep seeing the same objects."""

import json
import math
import random
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest

from qstar_pl.sandbox import graph
from qstar_pl.sandbox.codec import CodecError
from qstar_pl.sandbox.scalars import scalar_of

VALUES = [
    *[None, True, False, 0, -7, 2**53, 2**53 + 1, -(2**200), 10**5000, 0.1, -0.0, 5e-324, math.inf, -math.inf],
    *["", "ü\n\0\ud800", b"\0\xff", bytearray(b"ab"), 1 + 2j, complex(math.inf, -0.0)],
    *[[], (), [1, (2, [3.5, "x"]), None], {1, 2}, frozenset({"a"}), {}, range(3, 9, 2), deque([1, [2]]), ...],
    {"a": [1], 2: (3,), (4, 5): {"b": None}, None: False},
    *[Fraction(-2, 3), Fraction(10**30, 7), Decimal("1.10"), Decimal("-Infinity"), int, list, type(None)],
    *[{"a": 1}.keys(), {"a": (1,)}.items(), Counter("aab"), OrderedDict(b=1, a=2), defaultdict(list, {1: [2]})],
    *[date(2024, 2, 29), datetime(2020, 1, 2, 3, 4, 5, 6), time(1, 2), timedelta(-1, 3)],
    datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=-3))),
]


class Pair:
    """Two sides in one process; what lives on the other side is a tuple here."""

    def __init__(self):
        self.one = graph.Graph(0, lambda *words: ("there", *words))
        self.other = graph.Graph(1, lambda *words: ("there", *words))

    def over(self, *values, everything=False):
        return self.other.unpack(json.loads(self.one.pack(values, everything)))

    def back(self, *values, everything=True):
        return self.one.unpack(json.loads(self.other.pack(values, everything)))


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_come_back_with_their_types(value):
    pair = Pair()
    (there,) = pair.over(value)
    (back,) = pair.back(there)
    for one in (there, back):
        assert one == value
        assert type(one) is type(value)
        if value != 10**5000:
            assert repr(one) == repr(value)


def test_nan_comes_back():
    assert math.isnan(Pair().over([math.nan])[0][0])


def test_objects_are_the_same_in_every_message():
    pair = Pair()
    inner = [1]
    outer = {"a": inner, "b": (inner, {2})}
    there, inner_there = pair.over(outer, inner)
    assert there["a"] is inner_there is there["b"][0]
    inner_there.append(2)
    there["c"] = there
    back, new = pair.back(there["a"], [there])
    assert back is inner
    assert inner == [1, 2]
    assert outer["c"] is outer is new[0]
    inner.clear()
    assert pair.over(5, everything=True) == [5]
    assert inner_there == []


def test_true_and_one_are_told_apart():
    pair = Pair()
    value = [1, 1.0, 0.0]
    (there,) = pair.over(value)
    there[:] = [True, 1, -0.0]
    pair.back(None)
    assert repr(value) == "[True, 1, -0.0]"


def test_only_what_has_changed_is_sent():
    pair = Pair()
    value = [list(range(1000)), [1]]
    (there,) = pair.over(value)
    there[1].append(2)
    assert len(pair.other.pack([there], True)) < 200


def test_what_is_forgotten_is_new_again():
    pair = Pair()
    value = [1]
    (there,) = pair.over(value)
    pair.one.forget([0])
    pair.other.forget([0])
    (again,) = pair.over(value)
    assert again == there
    assert again is not there


def test_what_holds_the_same_is_not_said_again_and_what_does_not_is():
    pair = Pair()
    inner, at = [1], []
    outer = {"inner": inner, "pair": (inner, at)}
    (there,) = pair.over(outer, everything=True)
    assert json.loads(pair.one.pack([5], everything=True)) == [[5], []]
    at.append(inner)
    assert pair.over(5, everything=True) == [5]
    assert there["pair"][1][0] is there["inner"]
    inner[0] = 1.0
    pair.over(5, everything=True)
    assert repr(there["inner"]) == "[1.0]"
    for side in (pair.one, pair.other):
        side.forget([side._numbers[id(inner if side is pair.one else there["inner"])]])
    inner.append(2)
    (again,) = pair.over(inner, everything=True)
    assert again == [1.0, 2]


def test_the_oldest_are_too_many():
    pair = Pair()
    pair.over(*[[number] * 999 for number in range(7)])
    assert pair.one.parts == 7000
    assert len(pair.one.too_many()) == 2
    assert Pair().one.too_many() == []


def test_depth_costs_nothing_but_is_bounded_where_hashing_is_not():
    deep, tuples = [], ()
    for _ in range(50_000):
        deep = [deep]
    (there,) = Pair().over(deep)
    depth = 0
    while there:
        there, depth = there[0], depth + 1
    assert depth == 50_000
    for _ in range(graph.MAX_DEPTH + 1):
        tuples = (tuples,)
    with pytest.raises(CodecError, match="deep"):
        Pair().over(tuples)


def test_what_has_no_parts_stays_where_it_is():
    pair = Pair()
    function, iterator = len, iter([1])
    there = pair.over(function, iterator, function, object)
    assert there[0] == ("there", 0, "callable", "builtin_function_or_method", hash(len))
    assert there[1][:4] == ("there", 1, "iterator", "list_iterator")
    assert there[2] is there[0]
    assert pair.back(there[0], [there[1]]) == [function, [iterator]]


class Known:
    def __init__(self, value):
        self.value = value


class Slotted:
    __slots__ = ("value",)


def test_objects_of_known_classes_travel():
    pair = Pair()
    for side in (pair.one, pair.other):
        side.classes = {"Known": Known, "Slotted": Slotted}
    known, slotted = Known([1]), Slotted()
    slotted.value, known.me = known, known
    (there,) = pair.over(slotted)
    assert there is not slotted
    assert there.value.me is there.value
    there.value.value.append(2)
    del there.value.me
    there.value.other = Known
    pair.back(None)
    assert known.value == [1, 2]
    assert vars(known) == {"value": [1, 2], "other": Known}


@pytest.mark.parametrize(
    "word",
    [
        *[{}, {"a": 1}, [], [1], ["exec", "x"], ["int"], ["int", "zz"], ["int", 3], ["float", "1.0"]],
        *[["float", ["x"]], ["bytes", "0"], ["bytes", None], ["complex", 1], ["complex", "1", "2"]],
        *[["Fraction", 1, 0], ["Fraction", ["x"], 1], ["Decimal", "x"], ["Decimal", "1e999999999"]],
        *[["range", 1, 2, 0], ["range", "a"], ["type", "eval"], ["type", ["x"]], ["date", 5], ["datetime", "x"]],
        *[["timedelta", 10**20, 0, 0], ["UUID", "x"], ["path", 1], ["@", 0], ["mine", 0]],
    ],
    ids=repr,
)
def test_malformed_words_are_refused(word):
    with pytest.raises(CodecError):
        scalar_of(word)
    with pytest.raises(CodecError):
        Pair().one.unpack([[word], []])


@pytest.mark.parametrize(
    "message",
    [
        *[None, 5, {}, [], [[]], [[], [], []], [[], [1]], [[], [[]]], [[], [["list", 1, None]]]],
        *[[[["@", 5]], []], [[], [["list", 0, None, []]]], [[], [["list", "1", None, []]]]],
        *[[[], [["list", 1, None, []], ["list", 1, None, []]]], [[], [["what", 1, None, []]]]],
        *[[[], [["tuple", 1, None, [["@", 1]]]]]],
        *[[[], [["tuple", 1, None, [["@", 3]]], ["tuple", 3, None, [["@", 1]]]]]],
        *[[[], [["dict", 1, None, [1]]]], [[], [["set", 1, None, [["@", 3]]], ["list", 3, None, []]]]],
        *[[[], [["instance", 1, "int", []]]], [[], [["instance", 1, "Known", [["@", 1], 1]]]]],
        *[[[], [["deque", 1, "x", []]]]],
        *[[[], [["defaultdict", 1, "eval", []]]], [[], [["named", 1, ["x", ["a b"]], [1]]]]],
        *[[[], [["named", 1, 5, [1]]]]],
        *[[[], [["exception", 1, ["E", 5, "", 0], []]]]],
        *[[[["yours", 0]], []], [[["yours", -1]], []], [[["mine", 0, "x", "y", "z"]], []], [[["class", "int"]], []]],
        *[[[["member", "int", "real"]], []], [[], [["bytearray", 1, None, [5]]]]],
    ],
    ids=repr,
)  # fmt: skip
def test_malformed_messages_are_refused(message):
    with pytest.raises(CodecError):
        Pair().one.unpack(message)


def test_a_container_keeps_its_kind():
    pair = Pair()
    pair.over([1])
    with pytest.raises(CodecError, match="kind"):
        pair.one.unpack([[], [["dict", 0, None, []]]])


def test_any_value_comes_back():
    draw = random.Random(0)
    leaves = [value for value in VALUES if value != 10**5000]

    def some(depth):
        kind = draw.randrange(6 if depth else 1)
        items = [some(depth - 1) for _ in range(draw.randrange(4))] if kind else []
        plain = [draw.choice(leaves[:20]) for _ in range(2)]
        return [
            draw.choice(leaves), items, tuple(items), dict(enumerate(items)), deque(items), {"x": items, "y": plain},
        ][kind]  # fmt: skip

    for _ in range(300):
        value = some(4)
        pair = Pair()
        assert repr(pair.back(*pair.over([value]))) == repr([[value]])
