"""A compiler that leaves behind what torch.compile does at times."""

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def leaving(function: Callable[..., Any], **_: object) -> Callable[..., Any]:
    """Return `function`, whose first call leaves an exception in a cycle: it holds the frames of all callers.

    torch's compiler collects the youngest of such cycles itself; those that have grown older during a compilation
    wait for a collection of everything, which a large process may not see for many rollouts.
    """
    called = False

    def call(*given: Any, **named: Any) -> Any:
        nonlocal called
        if not called:
            called = True
            _leave()
        return function(*given, **named)

    return call


def _leave() -> None:
    try:
        raise RuntimeError("left in a cycle")
    except RuntimeError as error:
        kept = error  # noqa: F841 (the frame is held by the traceback, and holds it)


class Held:
    """What a caller has at hand, such as a cache."""


def held_after(call: Callable[[], object]) -> bool:
    """Return whether what a caller had at hand is still there when both are done."""

    def caller() -> weakref.ref[Held]:
        held = Held()
        call()
        return weakref.ref(held)

    with nothing_collected():
        return caller()() is not None


@contextmanager
def nothing_collected() -> Iterator[None]:
    """Collect no cycles but where the code asks for it."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
