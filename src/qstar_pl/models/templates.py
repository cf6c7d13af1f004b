"""Chat templates in Jinja are programs that come with a model: a limit on how long one may take.

transformers renders them in Jinja's sandbox, which keeps them from everything but the dialogue, and cuts ranges at
100,000; loops in loops, and what a template makes of memory, are not bounded by it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import FrameType

from jinja2 import Environment, TemplateSyntaxError

LIMIT_S = 5.0
"""Seconds of processor time for one dialogue; a long one takes milliseconds."""
_ENDLESS: set[str] = set()


class TooLongError(Exception):
    """A template has run into the limit."""


@contextmanager
def bounded(template: str) -> Iterator[None]:
    """Let a template render for at most `LIMIT_S`; only in the main thread, where there are timers of processor time.

    Raises:
        TooLongError: if it takes longer, or has done so before, or could do so in a single operation.

    """
    if _has_power(template):
        # 9 ** 9 ** 9 is a single operation of the interpreter, which no signal interrupts.
        raise TooLongError("a chat template must not raise to powers, got one with **")
    if template in _ENDLESS:
        raise TooLongError(f"a chat template must render a dialogue within {LIMIT_S:g} s")
    # Python takes signal handlers in the main thread only; elsewhere the template runs without a limit.
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGVTALRM"):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        _ENDLESS.add(template)
        raise TooLongError(f"a chat template must render a dialogue within {LIMIT_S:g} s")

    # Processor time, not time on the clock: a busy machine must not fail a template.
    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)


@lru_cache
def _has_power(template: str) -> bool:
    try:
        tokens = Environment(autoescape=True).lex(template)  # read, not rendered
        return any(kind == "operator" and text == "**" for _, kind, text in tokens)
    except TemplateSyntaxError:  # transformers says it better
        return False
