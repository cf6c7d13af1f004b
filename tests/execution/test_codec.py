import itertools
import json
import math
import os
import threading
from collections import Counter, OrderedDict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction

import pytest

from qstar_pl.execution import codec

VALUES = [
    None,
    True,
    False,
    0,
    -7,
    2**53,
    2**53 + 1,
    -(2**200),
    0.1,
    -0.0,
    5e-324,
    math.inf,
    -math.inf,
    "",
    "ü\n\0\ud800",
    b"\0\xff",
    bytearray(b"ab"),
    1 + 2j,
    complex(math.inf, -0.0),
    [],
    (),
    [1, (2, [3.5, "x"]), None],
    {1, 2},
    frozenset({"a"}),
    {},
    {"a": [1], 2: (3,), (4, 5): {"b": None}, None: False},
    Fraction(-2, 3),
    Fraction(10**30, 7),
    Decimal("1.10"),
    Decimal("-Infinity"),
    range(3, 9, 2),
    deque([1, [2]]),
    {"a": 1}.keys(),
    {"a": (1,)}.items(),
    10**5000,
]


def through(value):
    return codec.decode(codec.from_bytes(codec.to_bytes(codec.encode(value))[4:]))


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_plain_values_come_back_with_their_types(value):
    back = through(value)
    assert back == value
    assert type(back) is type(value)
    if value != 10**5000:
        assert repr(back) == repr(value)


def test_nan_comes_back():
    assert math.isnan(through([math.nan])[0])


class Agreeable(int):
    def __eq__(self, other):
        return True

    __hash__ = int.__hash__


def test_subclasses_become_plain():
    point = namedtuple("point", "x y")
    for value, plain in [
        (Agreeable(1), 1),
        (Counter("aab"), {"a": 2, "b": 1}),
        (OrderedDict(a=1), {"a": 1}),
        (point(1, 2), (1, 2)),
    ]:
        assert type(through(value)) is type(plain)
        assert through(value) == plain
    assert through(Agreeable(1)) != 2


def test_other_objects_become_opaque():
    for value in [object(), memoryview(b""), len, int, Ellipsis, NotImplemented]:
        back = through([value])[0]
        assert isinstance(back, codec.Opaque)
        assert back.type_name == type(value).__name__
        assert back != value
        with pytest.raises(TypeError, match="true or false"):
            bool(back)


def test_iterators_are_sent_whole_or_kept():
    assert list(through(map(str, [1, 2]))) == ["1", "2"]
    assert sorted(through({"a": 2, "b": 1}.values())) == [1, 2]
    with pytest.raises(codec.CodecError, match="items"):
        codec.encode(itertools.count())
    kept = []
    data = codec.encode([itertools.count(), 1, iter("ab")], keep=lambda one: kept.append(one) or len(kept) - 1)
    assert [next(one) for one in kept] == [0, "a"]
    assert codec.decode(data, remote=lambda number, name: (number, name)) == [
        (0, "count"),
        1,
        (1, "str_ascii_iterator"),
    ]
    assert isinstance(codec.decode(data)[0], codec.Opaque)


def test_depth_is_bounded():
    value = []
    for _ in range(codec.MAX_DEPTH - 1):
        value = [value]
    assert through(value) == value
    for _ in range(5):
        value = [value]
    with pytest.raises(codec.CodecError, match="deep"):
        codec.encode(value)
    value.append(value)
    with pytest.raises(codec.CodecError, match="deep"):
        codec.encode(value)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"a": 1},
        [],
        [1],
        ["exec", "x"],
        ["int"],
        ["int", "zz"],
        ["int", 3],
        ["float", "1.0"],
        ["float", ["list"]],
        ["set", ["list"]],
        ["dict", 1],
        ["dict", ["list"], 1],
        ["bytes", "0"],
        ["bytes", None],
        ["complex", 1],
        ["complex", "1", "2"],
        ["object"],
        ["list", ["list", {}]],
        ["Fraction", 1, 0],
        ["Fraction", ["list"], 1],
        ["Decimal", "x"],
        ["Decimal", "1e999999999"],
        ["range", 1, 2, 0],
        ["range", "a"],
        ["keys", ["list"]],
        ["items", 1],
        ["remote"],
        ["remote", "x", "y"],
    ],
    ids=repr,
)
def test_malformed_values_are_refused(data):
    with pytest.raises(codec.CodecError):
        codec.decode(data)


def test_deep_data_is_refused():
    data = ["list"]
    for _ in range(codec.MAX_DEPTH + 1):
        data = ["list", data]
    with pytest.raises(codec.CodecError):
        codec.decode(data)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 10_000, b"[1," * 10])
def test_malformed_messages_are_refused(body):
    with pytest.raises(codec.CodecError):
        codec.from_bytes(body)


def test_messages_of_too_many_parts_are_refused():
    with pytest.raises(codec.CodecError, match="parts"):
        codec.from_bytes(b"[" + b"0," * (codec.MAX_NODES + 1) + b"0]")


def test_channel():
    read, write = os.pipe()
    message = ["x" * 300_000, None]
    sender = threading.Thread(target=codec.send, args=(write, message))
    sender.start()
    assert codec.receive(read, 1 << 20) == message
    sender.join()
    codec.send(write, [1] * 100)
    with pytest.raises(codec.CodecError, match="at most 10 bytes"):
        codec.receive(read, 10)
    os.close(read)
    read, other = os.pipe()
    os.write(other, b"\0\0\0\4ab")
    os.close(other)
    with pytest.raises(codec.ClosedError):
        codec.receive(read, 10)
    assert json.loads(codec.to_bytes(message)[4:]) == message
    for descriptor in (read, write):
        os.close(descriptor)
