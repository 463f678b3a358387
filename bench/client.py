"""A load generator of our own, for machines without wrk: processes that do nothing but send.

Usage: python -m bench.client, with a JSON array on a line of standard input. It prints a JSON
array: the statuses counted, how many requests were lost, when it began and ended in seconds of the
machine's monotonic clock, and how long each answered request took in microseconds.
"""

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from itertools import count
from typing import Any, NamedTuple, cast

import uvloop

from bench.load import AMOUNT, CURRENCY, Run, Sample, Target, balance_path, beginning, tenant
from bench.processes import ROOT

PROCESSES_MAX = 2
"""More would take the cores from who is measured."""

END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Ask(NamedTuple):
    """What one process shall send, over how many connections and for how long."""

    address: str
    token: str
    tenants: int
    batch: int
    connections: int
    seconds: int
    pause_ms: int
    beginning: str
    number: int


def drive(target: Target, run: Run) -> Sample:
    """Send requests, one at a time on each connection."""
    begins = beginning()
    processes = min(PROCESSES_MAX, os.cpu_count() or 1, run.clients)
    asks = [
        Ask(
            *target,
            run.load.tenants,
            run.load.batch,
            connections=len(range(number, run.clients, processes)),
            seconds=run.seconds,
            pause_ms=run.pause_ms,
            beginning=begins,
            number=number,
        )
        for number in range(processes)
    ]
    children = [_started(ask) for ask in asks]
    return merge([json.loads(child.communicate()[0]) for child in children], run)


def merge(told: Sequence[Any], run: Run) -> Sample:
    """Make one sample of what the processes printed, from the first beginning to the last end."""
    statuses: Counter[int] = Counter()
    for counted, *_ in told:
        statuses.update({int(status): number for status, number in counted.items()})
    lost = sum(missed for _, missed, *_ in told)
    took_us = sorted(us for *_, several in told for us in several) or [0]
    answered = sum(number for status, number in statuses.items() if status < 300)
    return Sample(
        debits=answered * run.load.batch,
        looks=0 if run.load.batch else answered,
        seconds=max(ended for *_, ended, _ in told) - min(began for _, _, began, *_ in told),
        in_flight_max=(run.clients + lost) * run.load.batch,
        p50_ms=took_us[len(took_us) // 2] / 1e3,
        p99_ms=took_us[len(took_us) * 99 // 100] / 1e3,
        longest_ms=took_us[-1] / 1e3,
        refused=statuses.total() - answered,
        lost=lost,
        statuses=statuses,
    )


def _started(ask: Ask) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "bench.client"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert child.stdin
    # A line, flushed: a child that waited for the end of its input would wait for its siblings.
    print(json.dumps(ask), file=child.stdin, flush=True)
    return child


class Requests:
    """Writes requests, each debit with a new key."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._numbers = count()
        path = "/v1/debits/batch" if ask.batch > 1 else "/v1/debits"
        self._usual = f"Host: {ask.address}\r\nAuthorization: Bearer {ask.token}\r\n"
        self._head = f"POST {path} HTTP/1.1\r\n{self._usual}Content-Type: application/json\r\n"

    def next(self) -> bytes:
        """Return one request."""
        if not self._ask.batch:
            path = balance_path(self._tenant())
            return f"GET {path} HTTP/1.1\r\n{self._usual}\r\n".encode()
        if self._ask.batch > 1:
            debits = [
                self._debit(f',"idempotency_key":"{self._key()}"') for _ in range(self._ask.batch)
            ]
            keyed, body = "", f'{{"debits":[{",".join(debits)}]}}'
        else:
            keyed, body = f"Idempotency-Key: {self._key()}\r\n", self._debit("")
        return f"{self._head}{keyed}Content-Length: {len(body)}\r\n\r\n{body}".encode()

    def _key(self) -> str:
        return f"{self._ask.beginning}-{next(self._numbers):09d}-{self._ask.number}"

    def _tenant(self) -> str:
        return tenant(1 + int(random.random() * self._ask.tenants))

    def _debit(self, more: str) -> str:
        return (
            f'{{"tenant_id":"{self._tenant()}","amount":{AMOUNT},"currency":"{CURRENCY}",'
            f'"purpose":"plan_renewal"{more}}}'
        )


class _Connection(asyncio.Protocol):
    """Sends a request, waits for the whole answer, and begins again."""

    def __init__(self, requests: Requests, pause_s: float) -> None:
        self.statuses: Counter[int] = Counter()
        self.took_us: list[int] = []
        self.lost = 0
        self._requests = requests
        self._pause_s = pause_s
        self._received = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if (length := answer_length(self._received)) and len(self._received) >= length:
            self.took_us.append(int((time.perf_counter() - self._sent_at) * 1e6))
            self.statuses[int(self._received[9:12])] += 1
            self._received = self._received[length:]
            if self._pause_s:
                asyncio.get_running_loop().call_later(self._pause_s, self._send)
            else:
                self._send()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._transport = None
        self.lost += 1

    def end(self) -> None:
        """Break the connection, so that nothing is sent after what was counted."""
        if self._transport:
            self._transport.abort()

    def _send(self) -> None:
        if self._transport:
            self._sent_at = time.perf_counter()
            self._transport.write(self._requests.next())


def answer_length(received: bytes) -> int:
    """Return how long an HTTP answer is, 0 while its head is not complete."""
    head, found, _ = received.partition(END_OF_HEAD)
    if not found:
        return 0
    _, _, after = head.lower().partition(_LENGTH)
    return len(head) + len(END_OF_HEAD) + int(after.partition(b"\r\n")[0] or 0)


async def _main(ask: Ask) -> None:
    began = time.monotonic()
    requests = Requests(ask)
    host, _, port = ask.address.rpartition(":")
    loop = asyncio.get_running_loop()
    made = [
        loop.create_connection(lambda: _Connection(requests, ask.pause_ms / 1e3), host, int(port))
        for _ in range(ask.connections)
    ]
    connections = [connection for _, connection in await asyncio.gather(*made)]
    await asyncio.sleep(ask.seconds)
    statuses: Counter[int] = Counter()
    for connection in connections:
        statuses.update(connection.statuses)
    took_us = [us for connection in connections for us in connection.took_us]
    ended = time.monotonic()
    lost = sum(connection.lost for connection in connections)
    print(json.dumps([statuses, lost, began, ended, took_us]))
    for connection in connections:
        connection.end()


if __name__ == "__main__":
    uvloop.run(_main(Ask(*json.loads(sys.stdin.readline()))))
