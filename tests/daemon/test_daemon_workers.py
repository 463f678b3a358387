"""Threads that work while there is work, and what becomes of those that fail."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from structlog.testing import capture_logs

from bridge.daemon.workers import Worker
from bridge.domain.errors import UnavailableError

LONG_S = 60.0
"""A rest that no test waits for."""


@contextmanager
def working(
    work: Callable[[], int], idle_s: float = LONG_S, pause_s: float = 0
) -> Iterator[Worker]:
    worker = Worker("test", work, idle_s, pause_s)
    worker.start()
    yield worker
    worker.stop()
    assert worker.join(10)


def test_it_works_on_until_nothing_is_left_and_then_rests() -> None:
    left = [3, 2, 1, 0]
    rested = threading.Event()

    def work() -> int:
        if len(left) == 1:
            rested.set()
        return left.pop(0)

    with working(work):
        assert rested.wait(10)
    assert left == []


def test_it_rests_between_two_rounds_where_others_need_their_turn() -> None:
    begun: SimpleQueue[None] = SimpleQueue()

    def work() -> int:
        begun.put(None)
        return 1

    with working(work, pause_s=LONG_S):
        begun.get(timeout=10)
    assert begun.empty()


def test_what_fails_is_told_once_and_tried_again() -> None:
    left = [1, 0, 0]
    done = threading.Event()

    def work() -> int:
        if not left:
            done.set()
            return 0
        if left.pop() == 0:
            raise UnavailableError("the database is away")
        return 1

    with capture_logs() as logs, working(work, idle_s=0):
        assert done.wait(10)
    assert [line["event"] for line in logs] == ["failing", "works again"]


def test_what_nobody_foresaw_is_told_and_rests_for_longer() -> None:
    begun: SimpleQueue[None] = SimpleQueue()

    def work() -> int:
        begun.put(None)
        raise KeyError("unforeseen")

    with capture_logs() as logs, working(work, idle_s=0):
        begun.get(timeout=10)
    assert begun.empty()
    assert [line["event"] for line in logs] == ["work failed"]


def test_stopping_ends_a_rest_at_once_and_says_what_still_goes_on() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work() -> int:
        begun.set()
        go_on.wait(10)
        return 0

    worker = Worker("test", work, LONG_S)
    worker.start()
    assert begun.wait(10)
    worker.stop()
    assert not worker.join(0)
    go_on.set()
    assert worker.join(10)
