"""What one process has in place of an object that lives in the other one: each operation on it is done there."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

from qstar_pl.sandbox.operations import BINARY, JUDGING, UNARY

_Plain = TypeVar("_Plain")
Ask = Callable[..., Any]
"""Takes an operation's name, the object's number and arguments, and returns what it gives there."""


class StandIn:
    """An object of the program's, as the tests see it.

    Its attributes, items, length, text and truth are asked of the program, which might as well have returned them. What
    the tests expect must not go there to be judged. So it equals another object of the program's if the program says
    so, but never a value of the tests', it takes part in no arithmetic with one, and it has none of the methods by
    which plain data are judged, such as `startswith`.
    """

    def __init__(self, ask: Ask, number: int, type_name: str, code: int | None) -> None:
        # Not by assignment: `__setattr__` asks the other side.
        self.__dict__.update(_ask=ask, _number=number, _type_name=type_name, _hash=code)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in JUDGING:
            raise AttributeError(f"the tests cannot have {name} of a {self._type_name} object of the program's")
        return self._ask("getattr", self._number, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._ask("setattr", self._number, name, value)

    def __delattr__(self, name: str) -> None:
        self._ask("delattr", self._number, name)

    def __repr__(self) -> str:
        return _plain(str, self._ask("repr", self._number))

    def __str__(self) -> str:
        return _plain(str, self._ask("str", self._number))

    def __bool__(self) -> bool:
        return _plain(bool, self._ask("bool", self._number))

    def __len__(self) -> int:
        return _plain(int, self._ask("len", self._number))

    def __int__(self) -> int:
        return _plain(int, self._ask("int", self._number))

    def __float__(self) -> float:
        return _plain(float, self._ask("float", self._number))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._ask("iter", self._number))

    def __contains__(self, item: Any) -> bool:
        # Compared here: `item` may be what the tests expect, and must not go there.
        return any(one is item or one == item for one in self)

    def __getitem__(self, key: Any) -> Any:
        return self._ask("getitem", self._number, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._ask("setitem", self._number, key, value)

    def __delitem__(self, key: Any) -> None:
        self._ask("delitem", self._number, key)

    def __enter__(self) -> Any:
        return self._ask("enter", self._number)

    def __exit__(self, *error: object) -> None:
        self._ask("exit", self._number)

    def __hash__(self) -> int:
        if self._hash is None:
            raise TypeError(f"unhashable type: {self._type_name!r}")
        return int(self._hash)

    def _compare(self, other: Any, operation: str) -> Any:
        if isinstance(other, StandIn):
            return _plain(bool, self._ask(operation, self._number, other))
        return NotImplemented

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, StandIn) and bool(self._compare(other, "eq")))

    def __lt__(self, other: Any) -> Any:
        return self._compare(other, "lt")

    def __le__(self, other: Any) -> Any:
        return self._compare(other, "le")

    def __gt__(self, other: Any) -> Any:
        return self._compare(other, "gt")

    def __ge__(self, other: Any) -> Any:
        return self._compare(other, "ge")


class StandInFunction(StandIn):
    """Something of the program's that can be called."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Return what it returns."""
        return self._ask("call", self._number, *arguments, **named)


class StandInIterator(StandIn):
    """An iterator of the program's, whose items are asked for one by one."""

    def __next__(self) -> Any:
        return self._ask("next", self._number)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __len__(self) -> int:
        raise TypeError(f"object of type {self._type_name!r} has no len()")


def generator(ask: Ask, number: int) -> Generator[Any, Any, Any]:
    """Return a generator in place of one of the other side's."""
    sent = None
    while True:
        try:
            item = ask("send", number, sent)
        except StopIteration as end:  # raised in a generator it would become a RuntimeError (PEP 479)
            return end.value
        sent = yield item


def _plain(kind: type[_Plain], value: Any) -> _Plain:
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value


class FullStandIn(StandIn):
    """An object of the tests', as the program sees it: all operations are done there, with whatever."""

    def __getattr__(self, name: str) -> Any:
        return self._ask("getattr", self._number, name)

    def __contains__(self, item: Any) -> bool:
        return bool(self._ask("contains", self._number, item))

    __hash__ = StandIn.__hash__


class FullStandInFunction(FullStandIn, StandInFunction):
    """Something of the tests' that can be called."""


class FullStandInIterator(StandInIterator, FullStandIn):
    """An iterator of the tests'."""


def _binary(operation: str) -> Callable[[Any, Any], Any]:
    return lambda self, other: self._ask(operation, self._number, other)


def _unary(operation: str) -> Callable[[Any], Any]:
    return lambda self: self._ask(operation, self._number)


for _name in BINARY:
    # These three are methods of the classes above.
    if _name not in ("contains", "getitem", "delitem"):
        setattr(FullStandIn, f"__{_name.strip('_')}__", _binary(_name))
for _name in UNARY:
    setattr(FullStandIn, f"__{_name}__", _unary(_name))


def kinds(full: bool) -> dict[str, type[StandIn]]:
    """Return the class for each kind of object but a generator."""
    if full:
        return {"iterator": FullStandInIterator, "callable": FullStandInFunction, "object": FullStandIn}
    return {"iterator": StandInIterator, "callable": StandInFunction, "object": StandIn}
