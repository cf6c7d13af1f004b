import threading
from random import Random

import pytest

from qstar_pl.errors import UserError
from qstar_pl.evaluation.judges.llm.limits import Limits, RateLimiter, StoppedError


class Clock:
    """Time that passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> bool:
        self.now += seconds
        return False


def limiter(clock: Clock, requests: int | None = None, tokens: int | None = None) -> RateLimiter:
    return RateLimiter(requests, tokens, clock.sleep, clock)


def test_no_minute_has_more_requests_than_it_may() -> None:
    clock = Clock()
    one = limiter(clock, requests=3)
    times = []
    for _ in range(10):
        one.enter(1)
        times.append(clock.now)
        clock.now += 5.0
    assert times == [0, 5, 10, 60, 65, 70, 120, 125, 130, 180]


def test_no_minute_has_more_tokens_than_it_may() -> None:
    clock = Clock()
    one = limiter(clock, tokens=100)
    times = []
    for tokens in (60, 40, 30, 70, 500, 10):  # one alone may be larger than the limit
        one.enter(tokens)
        times.append(clock.now)
        clock.now += 1.0
    assert times == [0, 1, 60, 61, 121, 181]


def test_what_a_request_really_took_makes_room() -> None:
    clock = Clock()
    one = limiter(clock, tokens=100)
    slot = one.enter(90)
    one.correct(slot, 20)
    one.enter(80)
    assert clock.now == 0.0
    one.enter(1)
    assert clock.now == 60.0


def test_a_busy_server_is_left_alone_by_all() -> None:
    clock = Clock()
    one = limiter(clock)
    one.enter(1)
    one.pause(7.0)
    one.pause(3.0)
    one.enter(1)
    assert clock.now == 7.0


def test_nobody_waits_for_what_has_ended() -> None:
    stop = threading.Event()
    stop.set()
    one = RateLimiter(1, None, stop.wait)
    one.enter(1)
    with pytest.raises(StoppedError):
        one.enter(1)


def test_waits_double_up_to_a_bound_and_are_never_shorter_than_asked_for() -> None:
    limits, random = Limits(first_wait_s=1.0, longest_wait_s=5.0), Random(0)
    for repetition, most in enumerate([1, 2, 4, 5, 5]):
        waits = [limits.wait_s(repetition, None, random) for _ in range(200)]
        assert most / 2 <= min(waits) < max(waits) <= most
        assert len(set(waits)) > 100
    assert limits.wait_s(10_000, None, random) <= 5.0
    waits = [limits.wait_s(0, 30.0, random) for _ in range(200)]
    assert 30.0 <= min(waits) < max(waits) <= 33.0


@pytest.mark.parametrize("name", ["workers", "requests_per_minute", "tokens_per_minute", "timeout_s", "max_retries"])
def test_numbers_are_checked(name: str) -> None:
    with pytest.raises(UserError, match=f"{name} must be"):
        Limits(**{name: -1})
