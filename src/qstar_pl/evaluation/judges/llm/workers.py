"""Several requests at a time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from qstar_pl.evaluation.judges.llm.limits import StoppedError

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(
    items: Sequence[T], work: Callable[[T], R], done: Callable[[T, R], None], *, workers: int, stop: threading.Event
) -> None:
    """Work on all items, several at a time; what is finished is handed over in this thread.

    Ends at the first error, of the work, of `done`, or Ctrl-C: nothing is begun any more, and what is under way is
    waited for, since it is paid. A second Ctrl-C does not wait.

    Args:
        items: in the order in which they are begun.
        work: called in threads.
        done: called with an item and what came of it.
        workers: how many at a time.
        stop: is set when nothing more is to be begun; `work` may look at it, and raise `StoppedError`.

    """
    waiting: queue.SimpleQueue[T] = queue.SimpleQueue()
    finished: queue.SimpleQueue[tuple[T, R] | BaseException] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)

    def run() -> None:
        while not stop.is_set():
            try:
                item = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                finished.put((item, work(item)))
            except StoppedError:
                return
            except BaseException as error:
                finished.put(error)
                return

    # Daemons, so that after a second Ctrl-C the process ends.
    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(workers, len(items)))]
    try:
        for thread in threads:
            thread.start()
        for _ in items:
            outcome = finished.get()
            if isinstance(outcome, BaseException):
                raise outcome
            done(*outcome)
    finally:
        stop.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
