"""Debits and deposits under way, a record of what was acknowledged, and the audit of it all."""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import cycle
from typing import Any, NamedTuple, Self

import httpx

from bridge.domain.entry import Entry
from bridge.sandbox import Sandbox
from bridge.store import audit, reports
from bridge.store.database import Database
from tests.installation import Daemon
from tests.scaling.cluster import WAIT_S, wait_until

CLIENTS = 8
BATCH_SIZE = 500
RETRY_PAUSE_S = 0.05
ORDER_PAUSE_S = 0.2
REPEATS = 0.1
"""How often a client asks again for something it asked for before."""
UNTOLD = 0.2
"""How often no webhook tells of a paid order."""

HOT = "hot"
SHORT = ("short-1", "short-2", "short-3")
TENANTS = (HOT, *SHORT, *(f"tenant-{n}" for n in range(20)))
FUNDED = 10_000_000
"""What all but the short ones have in the beginning, in cents."""


class Debit(NamedTuple):
    """What is asked for: a key, and what belongs to it."""

    key: str
    tenant_id: str
    amount: int

    def body(self) -> dict[str, Any]:
        rest = {"currency": "EUR", "purpose": "other"}
        return {"tenant_id": self.tenant_id, "amount": self.amount, **rest}

    def headers(self) -> dict[str, str]:
        return {"Idempotency-Key": self.key}


class Caller:
    """A client of all replicas: it asks the next one, and the next one, until one answers.

    A context manager that closes its connections.
    """

    def __init__(self, daemons: Sequence[Daemon]) -> None:
        self._open = ExitStack()
        self._clients = cycle([self._open.enter_context(daemon.client()) for daemon in daemons])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def debit(self, debit: Debit) -> tuple[bool, dict[str, Any]]:
        """Tell whether it was posted, and what was answered."""
        answer = self._post("/v1/debits", debit.body(), debit.headers())
        return answer.status_code == 201, answer.json()

    def debits(self, debits: Sequence[Debit]) -> list[tuple[bool, dict[str, Any]]]:
        """The same for many in one call."""
        keyed = [debit.body() | {"idempotency_key": debit.key} for debit in debits]
        answer = self._post("/v1/debits/batch", {"debits": keyed}, {})
        outcomes = answer.json()["data"]
        return [(bool(one["entry"]), one["entry"] or one["problem"]) for one in outcomes]

    def _post(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                answer = next(self._clients).post(path, json=body, headers=headers)
                if answer.status_code < 500:
                    return answer
            time.sleep(RETRY_PAUSE_S)
        raise AssertionError(f"nobody answers {path} {body}")


class Load:
    """Clients that debit, and a storefront where orders are paid, while the block runs.

    `posted` are the debits that were acknowledged, with the ids of their entries; `declined` are
    those whose last answer was 402; `deposited` is what was paid, by tenant.
    """

    def __init__(self, daemons: Sequence[Daemon], sandbox: Sandbox, database: Database) -> None:
        self.posted: dict[Debit, str] = {}
        self.declined: set[Debit] = set()
        self.deposited: Counter[str] = Counter()
        self._daemons = daemons
        self._sandbox = sandbox
        self._database = database
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(CLIENTS + 1)
        self._work: list[Future[None]] = []

    def __enter__(self) -> Self:
        for tenant_id in TENANTS:
            self.deposit(tenant_id, 500 if tenant_id in SHORT else FUNDED, told=False)
        self._wait_until_credited()
        self._work = [self._pool.submit(self._debit, number) for number in range(CLIENTS)]
        self._work.append(self._pool.submit(self._pay))
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._pool.shutdown()
        for work in self._work:
            work.result()

    def deposit(self, tenant_id: str, amount: int, *, told: bool) -> None:
        """Place a paid order; a webhook tells of it, or else only a poll can find it."""
        euros = f"{amount // 100}.{amount % 100:02}"
        status = "pending" if told else "completed"
        order_id = self._sandbox.place_order(euros, tenant=tenant_id, status=status)
        if told:
            self._sandbox.set_status(order_id, "completed")
        self.deposited[tenant_id] += amount

    def wait_for_more(self, debits: int) -> None:
        """Wait until so many debits more were acknowledged."""
        enough = len(self.posted) + debits
        wait_until(lambda: len(self.posted) >= enough or any(one.done() for one in self._work))

    def audit(self, credited_within_s: float = WAIT_S) -> None:
        """Compare the ledger with what was acknowledged and with what was paid, after the block.

        Everything is asked for once more before: what was acknowledged is answered as before, and
        what was posted while its client lost the answer is acknowledged now.
        """
        self._repeat_all()
        self._wait_until_credited(credited_within_s)
        with self._database.read() as tx:
            entries = [e for tenant_id in TENANTS for e in reports.statement(tx, tenant_id, "EUR")]
            assert audit.verify(tx).problems == []
        taken = [entry for entry in entries if entry.kind == "debit"]
        assert Counter(map(_of, taken)) == Counter(self.posted.keys()), "lost or doubled"
        assert {_of(entry): entry.id for entry in taken} == self.posted
        assert min(entry.balance_after for entry in entries) >= 0, "overdrawn"
        assert self.declined, "no wallet has run short"

    def _wait_until_credited(self, timeout_s: float = WAIT_S) -> None:
        """Wait until balances are what was paid less what was acknowledged."""
        wait_until(lambda: self._balances() == self._owed(), timeout_s)

    def _balances(self) -> dict[str, int]:
        with self._database.read() as tx:
            wallets = [wallet for tenant_id in TENANTS for wallet in reports.wallets(tx, tenant_id)]
        return {wallet.tenant_id: wallet.balance for wallet in wallets}

    def _owed(self) -> dict[str, int]:
        owed = dict(self.deposited)
        for debit in self.posted:
            owed[debit.tenant_id] -= debit.amount
        return owed

    def _repeat_all(self) -> None:
        asked = [*self.posted, *self.declined]
        with Caller(self._daemons) as caller:
            for begin in range(0, len(asked), BATCH_SIZE):
                debits = asked[begin : begin + BATCH_SIZE]
                for debit, answer in zip(debits, caller.debits(debits), strict=True):
                    self._note(debit, *answer)

    def _debit(self, number: int) -> None:
        dice, asked = random.Random(number), list[Debit]()
        with Caller(self._daemons) as caller:
            while not self._stopping.is_set():
                if not asked or dice.random() > REPEATS:
                    tenant_id = dice.choice(dice.choice([(HOT,), SHORT, TENANTS]))
                    asked.append(Debit(f"{number}-{len(asked)}", tenant_id, dice.randint(1, 100)))
                    debit = asked[-1]
                else:
                    debit = dice.choice(asked)
                self._note(debit, *caller.debit(debit))

    def _note(self, debit: Debit, posted: bool, said: dict[str, Any]) -> None:
        if posted:
            assert self.posted.setdefault(debit, said["id"]) == said["id"], "posted twice"
            self.declined.discard(debit)
        else:
            assert said["code"] == "insufficient_balance", said
            assert debit not in self.posted, "acknowledged, then declined"
            self.declined.add(debit)

    def _pay(self) -> None:
        dice = random.Random()
        while not self._stopping.wait(ORDER_PAUSE_S):
            tenant_id = dice.choice(dice.choice([SHORT, TENANTS]))
            self.deposit(tenant_id, dice.randint(1, 300), told=dice.random() > UNTOLD)


def _of(entry: Entry) -> Debit:
    return Debit(entry.idempotency_key, entry.tenant_id, -entry.amount)
