"""Faults: what a client sees, and whether the request was executed."""

from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection

import pytest
import requests

from bridge.sandbox import (
    DROPPED,
    LOST_ANSWER,
    SILENT,
    WRONG_CONTENT,
    Sandbox,
    busy,
    slow,
)
from tests.sandbox.asking import api, ids, listed


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def test_a_broken_order_breaks_every_page_it_is_on_and_no_other(sandbox: Sandbox) -> None:
    placed = [sandbox.place_order() for _ in range(4)]
    sandbox.faults.broken_orders.add(placed[2])
    answers = [
        listed(sandbox, {"per_page": 1, "page": page, "orderby": "id", "order": "asc"}).status_code
        for page in (1, 2, 3, 4)
    ]
    assert answers == [200, 200, 500, 200]
    whole = listed(sandbox, {"_fields": "id"})
    assert (whole.status_code, whole.headers["Content-Type"]) == (500, "text/html; charset=UTF-8")
    assert api(sandbox).get(f"orders/{placed[2]}").status_code == 500


def test_a_fault_can_last_for_some_requests_of_one_kind(sandbox: Sandbox) -> None:
    order_id = sandbox.place_order()
    sandbox.faults.switch_on(busy(3, 429), times=2, path_part="/orders/")
    one = f"orders/{order_id}"
    statuses = [api(sandbox).get(path).status_code for path in (one, "orders", one, one)]
    assert statuses == [429, 200, 429, 200]


def test_a_fault_lasts_until_it_is_switched_off(sandbox: Sandbox) -> None:
    sandbox.faults.switch_on(WRONG_CONTENT)
    assert listed(sandbox, {}).text.startswith("<!DOCTYPE html>")
    assert listed(sandbox, {}).text.startswith("<!DOCTYPE html>")
    sandbox.faults.switch_off()
    assert ids(sandbox) == []


def test_a_lost_answer_was_executed_and_a_dropped_connection_was_not(sandbox: Sandbox) -> None:
    for fault, placed in ((DROPPED, 0), (LOST_ANSWER, 1)):
        sandbox.faults.switch_on(fault, times=1)
        with pytest.raises(requests.ConnectionError):
            api(sandbox).post("orders", {"status": "pending"})
        assert len(sandbox.order_ids()) == placed


def test_silence_lasts_until_the_client_gives_up_and_stop_does_not_wait_for_it() -> None:
    with Sandbox() as sandbox:
        sandbox.faults.switch_on(SILENT)
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{sandbox.url}/wp-json/wc/v3/orders", timeout=0.05)


def test_a_slow_answer_is_right_but_late(sandbox: Sandbox) -> None:
    sandbox.faults.switch_on(slow(0.2))
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{sandbox.url}/wp-json/wc/v3/orders", timeout=0.05)
    assert ids(sandbox) == []


def test_requests_are_remembered_without_oauths_parameters(sandbox: Sandbox) -> None:
    listed(sandbox, {"per_page": 5})
    (request,) = sandbox.requests
    assert (request.method, request.params) == ("GET", {"per_page": "5"})


def test_one_connection_serves_many_requests(sandbox: Sandbox) -> None:
    connection = HTTPConnection(sandbox.url.removeprefix("http://"), timeout=10)
    with closing(connection):
        connection.connect()
        first = connection.sock
        for _ in range(3):
            connection.request("GET", "/wp-json/wc/v3/nonsense")
            assert connection.getresponse().read()
            assert connection.sock is first


def test_a_body_that_is_too_large_is_refused(sandbox: Sandbox) -> None:
    answer = requests.post(f"{sandbox.url}/wp-json/", data=b"x" * 1_000_001, timeout=10)
    assert answer.status_code == 413
