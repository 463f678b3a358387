"""What the load generators send and say."""

import re
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from bench import client, wrk
from bench.client import Ask, Requests, answer_length
from bench.load import BATCH, LOOKS, UNIFORM, Run, Target

SAID_BY_WRK = """\
Running 1s test @ http://127.0.0.1:43935
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   282.22us  287.57us   5.09ms   92.97%
    Req/Sec    90.90k    17.69k  111.84k    70.00%
  1000 requests in 1.00s, 6.65MB read
  Non-2xx or 3xx responses: 10
Requests/sec:   1000.42
Transfer/sec:      6.64MB
{"requests":1000,"duration_us":2000000,"refused":10,"lost":2,"p50_us":226,"p99_us":1539,\
"longest_us":5090,"statuses":{"201":990,"503":10}}
"""


ENOUGH_S = 30


def answer_once_both_are_there(listener: socket.socket) -> None:
    for connection in [listener.accept()[0] for _ in range(2)]:
        with connection:
            connection.settimeout(ENOUGH_S)
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}")


def test_only_requests_that_succeeded_count_as_debits() -> None:
    sample = wrk.parse(SAID_BY_WRK, Run(UNIFORM, 32, 1))
    assert (sample.debits, sample.refused, sample.lost, sample.rate) == (990, 10, 2, 495)
    assert (sample.p50_ms, sample.p99_ms, sample.longest_ms) == (0.226, 1.539, 5.09)
    assert sample.statuses == {201: 990, 503: 10}


def test_each_connection_and_each_lost_request_may_leave_a_request_in_flight() -> None:
    assert wrk.parse(SAID_BY_WRK, Run(UNIFORM, 32, 1)).in_flight_max == 32 + 2


def test_a_batch_counts_as_its_debits() -> None:
    sample = wrk.parse(SAID_BY_WRK, Run(BATCH, 4, 1))
    assert (sample.debits, sample.in_flight_max) == (990 * 100, (4 + 2) * 100)


def test_looks_are_counted_and_are_no_debits() -> None:
    for sample in (
        wrk.parse(SAID_BY_WRK, Run(LOOKS, 32, 1)),
        client.merge([[{"200": 990, "503": 10}, 2, 0.0, 2.0, []]], Run(LOOKS, 32, 1)),
    ):
        assert (sample.debits, sample.looks, sample.in_flight_max, sample.rate) == (0, 990, 0, 495)


def test_our_own_processes_make_one_sample() -> None:
    told = [
        [{"201": 3, "503": 1}, 0, 10.0, 11.5, [100, 200, 300, 400]],
        [{"201": 1}, 1, 10.2, 12.0, [500]],
    ]
    sample = client.merge(told, Run(UNIFORM, 2, 1))
    assert (sample.debits, sample.refused, sample.lost, sample.rate) == (4, 1, 1, 2)
    assert (sample.p50_ms, sample.p99_ms, sample.longest_ms) == (0.3, 0.5, 0.5)
    assert (sample.in_flight_max, sample.statuses) == (3, {201: 4, 503: 1})


def test_processes_that_run_one_after_the_other_count_the_time_of_both() -> None:
    told = [[{"201": 30}, 0, 10.0, 13.0, [100]], [{"201": 30}, 0, 13.0, 16.0, [100]]]
    assert client.merge(told, Run(UNIFORM, 2, 3)).rate == 10


def test_our_own_processes_send_side_by_side() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        ThreadPoolExecutor() as pool,
    ):
        listener.settimeout(ENOUGH_S)
        answering = pool.submit(answer_once_both_are_there, listener)
        host, port = listener.getsockname()
        sample = client.drive(Target(f"{host}:{port}", "token"), Run(UNIFORM, 2, 1))
        answering.result()
    assert sample.debits == 2


@pytest.mark.parametrize("batch", [1, 100])
def test_our_own_requests_are_whole_and_their_keys_new_and_ascending(batch: int) -> None:
    ask = Ask("127.0.0.1:1", "token", 1000, batch, 1, 1, 0, "0123456789ab", 0)
    requests = Requests(ask)
    sent = [requests.next() for _ in range(3)]
    assert all(len(request) == answer_length(request) for request in sent)
    keys = [part[:22] for request in sent for part in request.split(b"0123456789ab")[1:]]
    assert len(keys) == 3 * batch
    assert keys == sorted(set(keys))


def test_our_own_looks_ask_for_balances_of_several_tenants() -> None:
    requests = Requests(Ask("127.0.0.1:1", "token", 1000, 0, 1, 1, 0, "0123456789ab", 0))
    sent = {requests.next() for _ in range(30)}
    assert len(sent) > 1
    for request in sent:
        assert re.match(rb"GET /v1/tenants/tenant-[0-9]{4}/balances/EUR HTTP/1.1\r\n", request)
        assert b"\r\nAuthorization: Bearer token\r\n\r\n" in request


def test_the_length_of_an_answer_is_known_once_its_head_is_there() -> None:
    head = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\n"
    assert answer_length(head[:-1]) == 0
    assert answer_length(head) == len(head) + 5
