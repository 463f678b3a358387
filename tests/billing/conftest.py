"""A sandbox storefront, the deposits that lead there, and what a test wants to know of both."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from bridge.billing.deposits import Deposits
from bridge.billing.tills import Till
from bridge.domain.clock import DAY
from bridge.domain.deposit import Asked, Limits, Mode, Plan, Terms, Tier
from bridge.domain.signing import derived
from bridge.sandbox import Sandbox
from bridge.store import deposits
from bridge.store.database import Database
from bridge.store.deposits import Deposit
from bridge.store.leases import Leases
from bridge.storefront.client import Client
from tests.conftest import FakeClock
from tests.depositing import KEYS

LINK_KEYS = derived(["a secret of thirty-two characters"], "deposit-link/main")
EUR = Limits(
    "EUR",
    minimum=500,
    maximum=100_000,
    step=100,
    balance_max=150_000,
    tiers=(Tier(10_000, 500),),
)
USD = Limits("USD", minimum=100, maximum=10_000)
PRO = Plan("pro", "Pro", 1990, "EUR", "month")


class World(NamedTuple):
    """A storefront, and the deposits that are paid there."""

    sandbox: Sandbox
    database: Database
    clock: FakeClock
    client: Client

    def till(self, **fields: Any) -> Till:
        """The till of the storefront main, which takes euros on its pay page."""
        usual = Till(
            name="main",
            url=self.sandbox.url,
            tag_key="_tenant_id",
            terms=Terms(Mode.PAY, DAY, {"EUR": EUR}),
            tag_keys=KEYS,
            link_keys=LINK_KEYS,
            checkout=lambda: self.client.checkout,
        )
        return usual._replace(**fields)

    def deposits(self, *tills: Till, holder: str = "test", return_url: str = "") -> Deposits:
        """Deposits at these tills, or at that of main."""
        return Deposits(
            self.database,
            self.leases(holder),
            self.clock,
            {till.name: till for till in tills or (self.till(),)},
            {PRO.id: PRO},
            return_url,
        )

    def leases(self, holder: str) -> Leases:
        return Leases(self.database, self.clock, holder)

    def kept(self, tenant_id: str = "acme") -> list[Deposit]:
        """The tenant's deposits, newest first."""
        with self.database.read() as tx:
            return deposits.of_tenant(tx, tenant_id, limit=100)

    def orders(self) -> list[dict[str, Any]]:
        return [self.sandbox.order_json(order_id) for order_id in self.sandbox.order_ids()]

    def statuses(self) -> list[str]:
        return [order["status"] for order in self.orders()]


def asked(**fields: Any) -> Asked:
    """What the SaaS core asks for acme: a deposit of 50.00 EUR."""
    usual = Asked("acme", "api:core", "key-1", amount=5000, currency="EUR")
    return usual._replace(**fields)


@pytest.fixture
def sandbox(clock: FakeClock) -> Iterator[Sandbox]:
    with Sandbox(clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def connect(sandbox: Sandbox, clock: FakeClock) -> Iterator[Callable[[str], Client]]:
    """Makes clients of whatever listens at an address, with the sandbox's key."""
    clients: list[Client] = []

    def connect(url: str) -> Client:
        key, secret = sandbox.consumer_key, sandbox.consumer_secret
        made = Client(
            "main",
            url,
            key,
            secret,
            clock=clock,
            tag_key="_tenant_id",
            attempts_max=2,
            sleep=lambda _seconds: None,
        )
        clients.append(made)
        return made

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def world(
    sandbox: Sandbox, database: Database, clock: FakeClock, connect: Callable[[str], Client]
) -> World:
    return World(sandbox, database, clock, connect(sandbox.url))
