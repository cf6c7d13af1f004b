"""How fast an endpoint is asked, and how often again."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from qstar_pl.checks import at_least, positive

MINUTE_S = 60.0


@dataclass(frozen=True)
class Limits:
    """Of one process: several of them share no count."""

    workers: int = 8
    """Requests at a time."""
    requests_per_minute: int | None = None
    """In any 60 seconds; None: no limit."""
    tokens_per_minute: int | None = None
    """Of prompts and replies in any 60 seconds; a request counts with `max_tokens` until its usage is known."""
    timeout_s: float = 120.0
    """Seconds without a reply, after which a request is repeated."""
    max_retries: int = 6
    """Repetitions of a request that failed for a reason that may pass."""
    first_wait_s: float = 1.0
    """Seconds before the first repetition; doubled for each further one, then shortened at random by up to a half."""
    longest_wait_s: float = 60.0
    """Most seconds that the doubling reaches."""
    longest_retry_after_s: float = 300.0
    """If the server asks to wait more seconds than this, the evaluation stops and can go on later."""
    failures_in_a_row: int = 20
    """So many requests without a reply, after all their repetitions and with none in between: the evaluation stops."""

    def __post_init__(self) -> None:
        at_least(1, workers=self.workers, failures_in_a_row=self.failures_in_a_row)
        at_least(1, requests_per_minute=self.requests_per_minute, tokens_per_minute=self.tokens_per_minute)
        at_least(0, max_retries=self.max_retries, first_wait_s=self.first_wait_s, longest_wait_s=self.longest_wait_s)
        at_least(0, longest_retry_after_s=self.longest_retry_after_s)
        positive(timeout_s=self.timeout_s)

    def wait_s(self, repetition: int, retry_after_s: float | None, random: Random) -> float:
        """Return how long to wait before a repetition.

        Args:
            repetition: 0 for the first.
            retry_after_s: what the server asked for: never less than that, and a little more, so that not all come back
                at once.
            random: where the jitter comes from.

        """
        wait = min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(repetition, 30)) * random.uniform(0.5, 1.0)
        return wait if retry_after_s is None else retry_after_s * random.uniform(1.0, 1.1)


class StoppedError(Exception):
    """The evaluation ends; what waits need not wait."""


@dataclass
class Slot:
    """A request that counts against the limits."""

    at_s: float
    tokens: int


@dataclass
class RateLimiter:
    """Lets requests through so that no window of 60 seconds holds more than its share."""

    requests: int | None
    tokens: int | None
    sleep: Callable[[float], bool]
    """Waits so many seconds; returns True if the evaluation ends meanwhile."""
    clock: Callable[[], float] = time.monotonic
    _slots: deque[Slot] = field(default_factory=deque)
    _closed_until_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, tokens: int) -> Slot:
        """Wait until a request may be sent; it counts from then on.

        Args:
            tokens: how many it may take; `correct` puts it right.

        Raises:
            StoppedError: if the evaluation ends meanwhile.

        """
        while True:
            with self._lock:
                now = self.clock()
                wait = max(self._closed_until_s - now, self._full_for_s(now, tokens))
                if wait <= 0:
                    slot = Slot(now, tokens)
                    self._slots.append(slot)
                    return slot
            if self.sleep(wait):
                raise StoppedError

    def correct(self, slot: Slot, tokens: int) -> None:
        """Say how many tokens a request took."""
        with self._lock:
            slot.tokens = tokens

    def pause(self, seconds: float) -> None:
        """Let nothing through for a while: the server is busy."""
        with self._lock:
            self._closed_until_s = max(self._closed_until_s, self.clock() + seconds)

    def _full_for_s(self, now: float, tokens: int) -> float:
        if self.requests is None and self.tokens is None:
            self._slots.clear()
            return 0.0
        while self._slots and self._slots[0].at_s <= now - MINUTE_S:
            self._slots.popleft()
        wait = 0.0
        if self.requests is not None and len(self._slots) >= self.requests:
            wait = self._slots[len(self._slots) - self.requests].at_s + MINUTE_S - now
        if self.tokens is not None:
            held = sum(slot.tokens for slot in self._slots)
            for slot in self._slots:  # one that is larger than the limit goes when it is alone
                if held + tokens <= self.tokens:
                    break
                held -= slot.tokens
                wait = max(wait, slot.at_s + MINUTE_S - now)
        return wait
