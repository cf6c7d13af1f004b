"""The kinds of containers that cross to another process: what each is taken apart into, and made from again.

A container is a tag, what else belongs to it (the bound of a deque, the fields of a named tuple) and its parts, which
may be containers themselves; `graph.py` follows those. Objects of classes that both sides have are containers of their
attributes.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import ItemsView, Iterable, KeysView, Mapping, ValuesView
from functools import lru_cache
from typing import Any

from qstar_pl.sandbox import raised
from qstar_pl.sandbox.codec import CodecError
from qstar_pl.sandbox.scalars import TYPES

Shape = tuple[str, Any, Iterable[Any]]
"""Tag, what else belongs to the container, parts."""
Classes = Mapping[str, type]
"""Those that both sides have, by name."""
CHANGING: Mapping[str, Any] = {
    "list": list,
    "deque": deque,
    "bytearray": bytearray,
    "instance": object,
    "set": set,
    "dict": dict,
    "Counter": Counter,
    "OrderedDict": OrderedDict,
    "defaultdict": defaultdict,
}
"""Made empty and filled later, so that they can hold each other and themselves."""
HASHING = frozenset({"set", "dict", "Counter", "OrderedDict", "defaultdict"})
"""Filled last: objects in them may hash by their attributes, which must be there first."""
_BUILTIN = (str, bytes, bytearray, int, float, complex, list, tuple, dict, set, frozenset, deque)


def shape_of(value: Any, classes: Classes) -> Shape | None:
    """Return the tag of a container, what else belongs to it, and its parts; None for what is not a container."""
    kind = type(value)
    if kind is list or kind is tuple or kind is set:
        return kind.__name__, None, value
    if kind is dict:
        return "dict", None, (part for pair in value.items() for part in pair)
    if isinstance(value, BaseException):
        what = raised.described(value, classes)
        arguments = raised.arguments_of(value)
        # The count tells the arguments from the attributes behind them.
        extra = [what.name, list(what.bases), what.text, len(arguments)]
        return "exception", extra, [*arguments, *(part for pair in vars(value).items() for part in pair)]
    if classes.get(kind.__name__) is kind and not isinstance(value, _BUILTIN):
        return "instance", kind.__name__, [part for pair in _state(value).items() for part in pair]
    return _other_shape(value)


def _other_shape(value: Any) -> Shape | None:
    if isinstance(value, tuple):
        fields = getattr(type(value), "_fields", None)
        return ("tuple", None, value) if fields is None else ("named", [type(value).__name__, list(fields)], value)
    for plain in (list, set, frozenset):
        if isinstance(value, plain):
            return plain.__name__, None, value
    if isinstance(value, dict):
        kind = next((kind for kind in (Counter, OrderedDict, defaultdict) if isinstance(value, kind)), dict)
        factory = getattr(value.default_factory, "__name__", None) if isinstance(value, defaultdict) else None
        return kind.__name__, factory if factory in TYPES else None, (part for pair in value.items() for part in pair)
    if isinstance(value, deque):
        return "deque", value.maxlen, value
    if isinstance(value, bytearray):
        return "bytearray", None, [bytes(value)]
    if isinstance(value, KeysView):
        return "keys", None, value
    if isinstance(value, ValuesView):
        return "values", None, value
    if isinstance(value, ItemsView):
        return "items", None, (part for pair in value for part in pair)
    return None


def _state(value: Any) -> dict[str, Any]:
    state = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                state[name] = getattr(value, name)
    return state


def empty(tag: str, extra: Any, classes: Classes) -> Any:
    """Return a container of a kind in `CHANGING` without its parts."""
    match tag:
        case "instance":
            return object.__new__(classes[extra])  # without __init__, whose arguments nobody knows
        case "deque":
            return deque(maxlen=extra)
        case "defaultdict":
            return defaultdict(None if extra is None else TYPES[extra])
    return CHANGING[tag]()


def whole(tag: str, extra: Any, items: list[Any], classes: Classes) -> Any:
    """Return a container of a kind that cannot change.

    Raises:
        CodecError: if there is no such kind, or a named tuple has more or fewer items than fields.

    """
    match tag:
        case "tuple":
            return tuple(items)
        case "frozenset":
            return frozenset(items)
        case "keys":
            return dict.fromkeys(items).keys()
        case "values":
            return dict(enumerate(items)).values()
        case "items":
            return dict(zip(items[::2], items[1::2], strict=True)).items()
        case "named":
            if len(items) != len(extra[1]):
                raise CodecError("a named tuple must have as many items as fields")
            known = classes.get(extra[0])
            if known is not None and issubclass(known, tuple) and list(getattr(known, "_fields", ())) == extra[1]:
                return tuple.__new__(known, items)
            return _named(str(extra[0]), tuple(extra[1]))._make(items)
        case "exception":
            name, bases, text, count = extra
            state = dict(zip(items[count::2], items[count + 1 :: 2], strict=True))
            what = raised.Described(str(name), tuple(map(str, bases)), str(text))
            return raised.rebuilt(what, items[:count], state, classes)
    raise CodecError("a container must have a known tag")


def fill(value: Any, tag: str, items: list[Any]) -> None:
    """Give a container its parts, in place."""
    match tag:
        case "list":
            value[:] = items
        case "bytearray":
            value[:] = items[0]
        case "deque":
            value.clear()
            value.extend(items)
        case "set":
            value.clear()
            value.update(items)
        case "instance":
            state = dict(zip(items[::2], items[1::2], strict=True))
            inside = getattr(value, "__dict__", {})
            inside.clear()
            for name, part in state.items():
                if hasattr(value, "__dict__") and name not in _slots_of(type(value)):
                    inside[name] = part
                else:  # past a `__setattr__` of the class's own, such as a frozen dataclass has
                    object.__setattr__(value, name, part)
        case _:
            value.clear()
            for key, part in zip(items[::2], items[1::2], strict=True):
                value[key] = part


def _slots_of(kind: type) -> set[str]:
    found = set[str]()
    for one in kind.__mro__:
        slots = one.__dict__.get("__slots__", ())
        found |= {slots} if isinstance(slots, str) else set(slots)
    return found


@lru_cache(256)
def _named(name: str, fields: tuple[str, ...]) -> Any:
    return namedtuple(name, fields)
