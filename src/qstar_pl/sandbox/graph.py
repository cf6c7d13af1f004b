"""Values between two processes as a graph, so that both keep seeing the same objects.

Each container has a number that both sides know it by. A message holds the containers that are new to the other side or
have changed since, as [tag, number, extra, parts]; the kinds are those of `containers.py`, parts are scalars
(`scalars.py`) or references. So changes in place, one object in two places, an object that is returned twice and one
that contains itself mean on the other side what they mean on this one, and depth costs nothing. What is neither scalar
nor container stays where it is: a function, an iterator, an object of a class that one side alone has. The other side
gets a stand-in for it (`stand_ins.py`).
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from qstar_pl.sandbox.codec import MAX_NODES, CodecError
from qstar_pl.sandbox.containers import CHANGING, HASHING, empty, fill, shape_of, whole
from qstar_pl.sandbox.scalars import NO_SCALAR, scalar_of, scalar_word

MAX_DEPTH = 2000
"""Of tuples and other values that cannot change, in each other: hashing one has no bound of its own."""
MAX_OBJECTS = 1_000_000
"""Of the other side's, for which there is a stand-in here."""
KEPT_PARTS = 5000
"""Containers with up to this many parts altogether stay known beyond the call that they belong to."""
FEW_PARTS = 200
"""With up to this many parts altogether, changes are looked for at every step and not only at calls (`dialogue.py`)."""
COMPARED_PARTS = 200_000
"""After so many parts were looked at for changes, no container is known beyond its own call."""
_PLAIN = (str, bool, type(None))
"""Types whose objects are their own words."""
_FIXED = (tuple, frozenset)
"""Types whose objects never change, so that only what they hold is looked at for changes."""


class Graph:
    """One side's knowledge of what both sides have. The sides take turns: one is always waiting for the other."""

    def __init__(self, first: int, stand_in: Callable[[int, str, str, int | None], Any]) -> None:
        """Start without any object.

        Args:
            first: 0 on one side, 1 on the other: whose containers have even numbers.
            stand_in: makes what stands for an object of the other side's, of its number, its kind ("generator",
                "iterator", "callable", "object"), its type's name and its hash, None if it has none.

        """
        self.classes: dict[str, type] = {}
        """Classes that both sides have, by name: their objects travel with what they hold."""
        self.own: list[Any] = []
        """This side's objects that the other side has stand-ins for."""
        self._stand_in = stand_in
        self._own_numbers: dict[int, int] = {}
        self._theirs: dict[int, Any] = {}
        self._their_numbers: dict[int, int] = {}
        self._next, self._parity = first, first
        # number → object and id(object) → number: an id stays its object's own as long as the object is held here.
        self._shared: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}
        self._sent: dict[int, str] = {}
        """What was last sent of each container, as `repr`, which tells 1, 1.0 and True apart."""
        self._held: dict[int, tuple[Any, list[Any]]] = {}
        """Of containers that have been packed: what else belonged to each, and its parts."""
        self._sizes: dict[int, int] = {}
        self._depths: dict[int, int] = {}
        self.parts = 0
        """Of all containers that both sides know."""
        self._compared = 0

    def is_theirs(self, number: int, value: Any) -> None:
        """Take an object of this side's as the stand-in for one of the other's."""
        self._theirs[number] = value
        self._their_numbers[id(value)] = number

    def pack(self, roots: Sequence[Any], everything: bool) -> str:
        """Return JSON that holds values, and with `everything` what has changed in all that both sides know.

        Raises:
            CodecError: if there are more than `MAX_NODES` parts.

        """
        waiting: list[int] = []
        words = [self._word(root, waiting) for root in roots]
        if everything:
            waiting += [number for number, value in self._shared.items() if type(value) not in _FIXED]
        seen, parts_in_all = set[int](), 0
        nodes: list[list[Any]] = []
        while waiting:
            number = waiting.pop()
            if number in seen:
                continue
            seen.add(number)
            tag, extra, content = shape_of(self._shared[number], self.classes) or ("", None, ())
            held = list(content)
            parts_in_all += len(held) + 1
            if parts_in_all > MAX_NODES:
                raise CodecError(f"a message must have at most {MAX_NODES} parts")
            if everything and self._holds_as_before(number, extra, held):
                continue
            parts = [part if type(part) in _PLAIN else self._word(part, waiting) for part in held]
            text = repr((tag, extra, parts))
            if self._sent.get(number) != text:
                nodes.append([tag, number, extra, parts])
                self._note(number, text, len(parts))
            self._held[number] = extra, held
        self._compared += parts_in_all
        return json.dumps([words, nodes])  # at once: a call of the encoder costs as much as a hundred parts

    def _holds_as_before(self, number: int, extra: Any, held: list[Any]) -> bool:
        """Return whether a container holds the very objects it held when last sent; these are checked on their own."""
        known_extra, known = self._held.get(number, (None, None))
        return (
            known is not None
            and len(known) == len(held)
            and all(map(operator.is_, known, held))
            and known_extra == extra
        )

    def _word(self, value: Any, waiting: list[int]) -> Any:
        if self.classes and isinstance(value, Enum) and self.classes.get(type(value).__name__) is type(value):
            return ["member", type(value).__name__, value.name]
        if (plain := scalar_word(value)) is not NO_SCALAR:
            return plain
        if (number := self._numbers.get(id(value))) is None:
            if (theirs := self._their_numbers.get(id(value))) is not None:
                return ["yours", theirs]
            if isinstance(value, type) and self.classes.get(value.__name__) is value:
                return ["class", value.__name__]
            if shape_of(value, self.classes) is None:
                return self._own_word(value)
            number, self._next = self._next, self._next + 2
            self._keep(number, value)
        waiting.append(number)
        return ["@", number]

    def _own_word(self, value: Any) -> Any:
        number = self._own_numbers.get(id(value))
        if number is None:
            number = len(self.own)
            self.own.append(value)
            self._own_numbers[id(value)] = number
        try:
            code = hash(value)
        except BaseException:  # the object's own code, which may raise anything
            code = None
        return ["mine", number, kind_of(value), type(value).__name__, code]

    def unpack(self, message: Any) -> list[Any]:
        """Return the values in what `pack` returned, read from its JSON; known containers get their new parts.

        Raises:
            CodecError: if it is not well-formed.

        """
        try:
            # New containers are made empty, then those that cannot change, from the inside out; then all are filled.
            words, nodes = message
            fresh: dict[int, tuple[str, Any, list[Any]]] = {}
            for tag, number, extra, parts in nodes:
                if type(number) is not int or number in fresh or not isinstance(parts, list):
                    raise CodecError("a container must have one number and a list of parts")
                fresh[number] = (tag, extra, parts)
                self._meet(number, tag, extra)
            for number in fresh:
                if number not in self._shared:
                    self._build(number, fresh)
            order = sorted(fresh, key=lambda number: fresh[number][0] in HASHING)
            for number in order:
                tag, extra, parts = fresh[number]
                if tag in CHANGING:
                    fill(self._shared[number], tag, [self._value(part) for part in parts])
                self._note(number, repr((tag, extra, parts)), len(parts))
            return [self._value(word) for word in words]
        except CodecError:
            raise
        except Exception as error:  # also from the classes of a problem, which hash and compare as they like
            raise CodecError("a message must hold values as they are packed") from error

    def _meet(self, number: int, tag: str, extra: Any) -> None:
        known = self._shared.get(number)
        if known is not None:
            shape = shape_of(known, self.classes)
            if shape is None or shape[0] != tag:
                raise CodecError("a container must stay of its kind")
        elif number % 2 == self._parity:
            raise CodecError("a container must be one that both sides know, or new")
        elif tag in CHANGING:
            self._keep(number, empty(tag, extra, self.classes))

    def _build(self, first: int, fresh: Mapping[int, tuple[str, Any, list[Any]]]) -> None:
        """Make a container that cannot change, after those in it."""
        # No recursion: how deep it would go is for the sender to choose.
        stack, begun = [first], set[int]()
        while stack:
            number = stack[-1]
            if number in self._shared:
                stack.pop()
                continue
            tag, extra, parts = fresh[number]
            inner = [part[1] for part in parts if isinstance(part, list) and part[0] == "@"]
            missing = [one for one in inner if one not in self._shared]
            if missing and number in begun:
                raise CodecError("what cannot change must not contain itself")
            begun.add(number)
            stack += missing
            if not missing:
                self._depths[number] = 1 + max((self._depths.get(one, 0) for one in inner), default=0)
                if self._depths[number] > MAX_DEPTH:
                    raise CodecError(f"tuples must be nested at most {MAX_DEPTH} deep")
                self._keep(number, whole(tag, extra, [self._value(part) for part in parts], self.classes))

    def _value(self, word: Any) -> Any:
        if not isinstance(word, list):
            return scalar_of(word)
        match word:
            case ["@", int(number)]:
                return self._shared[number]
            case ["yours", int(number)] if number >= 0:
                return self.own[number]
            case ["mine", int(number), str(kind), str(name), code]:
                if number not in self._theirs:
                    if len(self._theirs) > MAX_OBJECTS:
                        raise CodecError(f"there must be at most {MAX_OBJECTS} objects")
                    self.is_theirs(number, self._stand_in(number, kind, name[:80], None if code is None else int(code)))
                return self._theirs[number]
            case ["member", str(name), str(member)]:
                return self.classes[name][member]  # type: ignore[index]
            case ["class", str(name)]:
                return self.classes[name]
        return scalar_of(word)

    def _keep(self, number: int, value: Any) -> None:
        self._shared[number] = value
        self._numbers[id(value)] = number
        self._sizes[number] = 0

    def _note(self, number: int, text: str, size: int) -> None:
        self._sent[number] = text
        self._held.pop(number, None)
        self.parts += size + 1 - self._sizes[number]
        self._sizes[number] = size + 1

    def too_many(self) -> list[int]:
        """Return the numbers of the oldest containers that both sides should forget for the bound on their parts."""
        bound = KEPT_PARTS if self._compared < COMPARED_PARTS else 0
        left, numbers = self.parts, []
        for number, size in self._sizes.items():  # in the order in which they became known
            if left <= bound:
                break
            numbers.append(number)
            left -= size
        return numbers

    def forget(self, numbers: Sequence[int]) -> None:
        """Let go of containers; when one is sent again, it is new."""
        if numbers:
            self._held.clear()  # others may hold what is new from now on
        for number in numbers:
            value = self._shared.pop(number, None)
            self._numbers.pop(id(value), None)
            self._sent.pop(number, None)
            self._depths.pop(number, None)
            self.parts -= self._sizes.pop(number, 0)


def kind_of(value: Any) -> str:
    """Return which kind of stand-in an object gets on the other side."""
    if type(value).__name__ == "generator":
        return "generator"
    if hasattr(type(value), "__next__"):
        return "iterator"
    return "callable" if callable(value) else "object"


def pack_once(value: Any) -> str:
    """Return JSON that holds one value, for a side that knows nothing else."""
    return Graph(0, _nothing).pack([value], everything=False)


def unpack_once(message: Any) -> Any:
    """Return the value in the JSON of `pack_once`."""
    return Graph(1, _nothing).unpack(message)[0]


def _nothing(number: int, kind: str, name: str, code: int | None) -> Any:
    raise CodecError(f"a {name} object cannot be sent")
