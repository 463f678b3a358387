"""A sandbox storefront, the context and source that runs are given, and a look at the balances."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from bridge.domain.clock import parse
from bridge.domain.crediting import Rules
from bridge.domain.wallet import WalletId
from bridge.sandbox import Sandbox
from bridge.store import audit, cursors, inbox, reports
from bridge.store.cursors import State
from bridge.store.database import Database
from bridge.store.inbox import Hint
from bridge.store.leases import Leases
from bridge.storefront.client import Client
from bridge.sync.context import Context, Counts, Policy, Source
from bridge.sync.ingest import ingest
from bridge.sync.poll import poll
from bridge.sync.reconcile import Report, sweep
from tests.conftest import FakeClock


class World(NamedTuple):
    """A storefront, the bridge that reads it, and what a test wants to know of both."""

    sandbox: Sandbox
    context: Context
    source: Source
    clock: FakeClock

    def with_rules(self, rules: Rules, *, create_tenants: bool = True) -> "World":
        policy = Policy("main", rules, create_tenants=create_tenants)
        return self._replace(source=self.source._replace(policy=policy))

    def poll(self) -> Counts:
        """Poll a moment later, so that stamps of the same second are past."""
        self.clock.advance(2)
        return poll(self.context, self.source)

    def sweep(self) -> Report:
        self.clock.advance(2)
        return sweep(self.context, self.source)

    def hint(self, order_id: int) -> None:
        """What the webhook listener does with a delivery."""
        with self.context.database.write() as tx:
            inbox.put(tx, [Hint("main", order_id, self.clock(), self.clock(), "webhook")])

    def ingest(self) -> Counts:
        self.clock.advance(2)
        return ingest(self.context, self.source)

    def balance(self, tenant_id: str = "acme", currency: str = "EUR") -> int:
        return self.wallet(tenant_id, currency)[0]

    def wallet(self, tenant_id: str = "acme", currency: str = "EUR") -> tuple[int, int]:
        """Return balance and available, in minor units; zeros where nothing was ever posted."""
        with self.context.database.read() as tx:
            wallets = {wallet.id: wallet for wallet in reports.wallets(tx, tenant_id)}
        wallet = wallets.get(WalletId(tenant_id, currency))
        return (wallet.balance, wallet.available) if wallet else (0, 0)

    def entries(self, tenant_id: str = "acme") -> list[int]:
        """Return the amounts of the tenant's entries, oldest first."""
        with self.context.database.read() as tx:
            entries = reports.entries(tx, tenant_id, limit=1000)
        return [entry.amount for entry in reversed(entries)]

    def state(self) -> State:
        with self.context.database.read() as tx:
            return cursors.state(tx, "main")

    def problems(self) -> list[str]:
        with self.context.database.read() as tx:
            return audit.verify(tx).problems


@pytest.fixture
def sandbox(clock: FakeClock) -> Iterator[Sandbox]:
    with Sandbox(clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def make_world(database: Database, clock: FakeClock) -> Iterator[Callable[[Sandbox], World]]:
    clients: list[Client] = []

    def make(sandbox: Sandbox) -> World:
        client = Client(
            "main",
            sandbox.url,
            sandbox.consumer_key,
            sandbox.consumer_secret,
            clock=clock,
            tag_key="_tenant_id",
            sleep=lambda _seconds: None,
        )
        clients.append(client)
        context = Context(database, Leases(database, clock, "test"), clock)
        source = Source(client, Policy("main"), import_from=parse("2026-11-01"))
        return World(sandbox, context, source, clock)

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def world(make_world: Callable[[Sandbox], World], sandbox: Sandbox) -> Iterator[World]:
    """A world whose books are clean at the end of every test."""
    world = make_world(sandbox)
    yield world
    assert world.problems() == []
