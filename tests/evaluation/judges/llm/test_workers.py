import threading

import pytest

from qstar_pl.evaluation.judges.llm.limits import StoppedError
from qstar_pl.evaluation.judges.llm.workers import in_parallel


def test_all_is_done_in_this_thread() -> None:
    found: dict[int, int] = {}
    threads = set()

    def done(item: int, result: int) -> None:
        found[item] = result
        threads.add(threading.current_thread())

    in_parallel(range(50), lambda item: item**2, done, workers=4, stop=threading.Event())
    assert found == {item: item**2 for item in range(50)}
    assert threads == {threading.current_thread()}
    in_parallel([], lambda item: item, done, workers=4, stop=threading.Event())


def test_an_error_lets_nothing_new_begin_and_waits_for_what_has_begun() -> None:
    begun: list[int] = []
    ended: list[int] = []
    stop = threading.Event()

    def work(item: int) -> None:
        begun.append(item)
        if item == 3:
            raise OSError("disk full")
        if stop.wait(0.05 if item > 3 else 0.0):
            raise StoppedError
        ended.append(item)

    with pytest.raises(OSError, match="disk full"):
        in_parallel(range(1000), work, lambda *_: None, workers=2, stop=stop)
    assert stop.is_set()
    assert len(begun) < 20
    assert not [thread for thread in threading.enumerate() if "(run)" in thread.name]
