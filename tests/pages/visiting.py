"""Visits the tenants' page as browsers do: the real application, a real database, no network."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from typing import Any

import httpx

from bridge.api.pages.app import portal_app
from bridge.api.pages.look import Portal
from bridge.api.services import Services
from bridge.billing.renewals import Renewals
from bridge.domain.clock import DAY, HOUR, MINUTE, SECOND, Clock, Instant
from bridge.domain.deposit import Asked, DepositRefusedError, Limits, Plan, Status, Tier
from bridge.domain.entry import Draft, EffectDraft, Kind, request_digest
from bridge.domain.offer import Offers
from bridge.domain.renewal import Renewal
from bridge.domain.signing import derived, seal
from bridge.domain.tenant import DEFAULT_PATTERN
from bridge.store import deposits, ledger, payment_requests, portal, reports
from bridge.store.balances import Balances
from bridge.store.batcher import Batcher
from bridge.store.database import Database
from bridge.store.deposits import Deposit
from bridge.store.payment_requests import PaymentRequest
from bridge.store.portal import Session
from tests.renewing import TERMS, asked

SECRETS = ["k" * 32]
RETURN = "https://core.example/back"
PAY_URL = "https://store.example/checkout/order-pay/44/?pay_for_order=true&key=wc_order_x"

LIMITS = Limits(
    "EUR",
    500,
    1_000_000,
    presets=(2500, 5000, 10000, 25000),
    balance_max=5_000_000,
    tiers=(Tier(10000, 500), Tier(25000, 750)),
)
PLANS = {
    "pro": Plan("pro", "Pro", 1900, "EUR", "month"),
    "team": Plan("team", "Team", 4900, "EUR", "month"),
}

OFFERS = Offers(
    "http://127.0.0.1", derived(SECRETS, "deposit-offer"), 14 * DAY, currencies=("EUR", "USD")
)

Answer = httpx.Response


def portal_look(**changes: Any) -> Portal:
    """A page as an operator might configure it."""
    look = Portal(
        public_url="http://127.0.0.1",
        name="Example Cloud",
        logo=b"",
        logo_type="",
        accent="#5b3a8c",
        accent_dark="#b99cf0",
        language="en",
        zone=UTC,
        link_keys=derived(SECRETS, "portal-link"),
        cookie_keys=derived(SECRETS, "portal-cookie"),
        form_keys=derived(SECRETS, "portal-form"),
        link_expires_in=5 * MINUTE,
        session_expires_in=HOUR,
        currencies=("EUR", "USD"),
    )
    return look._replace(**changes)


class Till:
    """Opens deposits in the database alone; no storefront hears of them."""

    plans: Mapping[str, Plan] = PLANS

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def limits(self, currency: str, storefront: str = "") -> Limits:
        if currency not in {"EUR", "USD"}:
            raise DepositRefusedError("deposits are taken in EUR and USD")
        return LIMITS._replace(currency=currency)

    def open(self, asked: Asked, *, create_tenant: bool) -> tuple[Deposit, bool]:
        plan = self.plans.get(asked.plan)
        amount = plan.price * asked.periods if plan else asked.amount or 0
        now = self._clock()
        with self._database.write() as tx:
            if known := deposits.asked(tx, asked.tenant_id, asked.caller, asked.key):
                return known, True
            reports.require_tenant(tx, asked.tenant_id, now, create=create_tenant)
            deposit = made_deposit(
                asked.tenant_id,
                amount,
                now,
                caller=asked.caller,
                idempotency_key=asked.key,
                bonus=LIMITS.bonus(amount),
                currency=plan.currency if plan else asked.currency,
                plan=asked.plan,
                periods=asked.periods,
                return_url=asked.return_url,
                purpose=asked.purpose.as_json() if asked.purpose else "",
                purpose_status="pending" if asked.purpose else "",
            )
            deposits.add(tx, deposit)
        return deposit, False

    def cancel(self, deposit_id: str) -> Deposit:
        with self._database.write() as tx:
            deposits.close(tx, deposits.get(tx, deposit_id), Status.CANCELLED, self._clock())
            return deposits.get(tx, deposit_id)


def made_deposit(tenant_id: str, amount: int, now: int, **more: Any) -> Deposit:
    """A deposit, open unless `more` says otherwise."""
    deposit_id = deposits.new_id()
    values: dict[str, Any] = {
        "tenant_id": tenant_id,
        "deposit_id": deposit_id,
        "caller": "core",
        "idempotency_key": deposit_id,
        "request_digest": bytes(32),
        "storefront": "main",
        "mode": "pay",
        "amount": amount,
        "bonus": 0,
        "currency": "EUR",
        "plan": "",
        "periods": 1,
        "return_url": "",
        "metadata": "{}",
        "expires_at": now + DAY,
        "created_at": now,
        "pay_url": PAY_URL,
        "order_id": 44,
        "order_status": "pending",
        "watch_since": now,
        "watch_at": now + 2 * SECOND,
        "changed_at": now,
    }
    return Deposit(**values | more)


class Site:
    """The page of one bridge, what is in its database, and a browser's cookies."""

    def __init__(self, database: Database, clock: Clock, **look: Any) -> None:
        self.database = database
        self.clock = clock
        self.nudged: list[str] = []
        self.renewals = Renewals(database, clock, TERMS)
        self.services = Services(
            database=database,
            batcher=Batcher(database, clock),
            balances=Balances(database),
            clock=clock,
            storefronts={},
            tenant_pattern=re.compile(DEFAULT_PATTERN),
            create_tenants=True,
            reconcile=lambda _comparison: "",
            nudge=self.nudged.append,
            ready=list,
            deposits=Till(database, clock),
            portal=portal_look(**look),
            renewals=self.renewals,
            offer_keys=OFFERS.keys,
        )

    @property
    def look(self) -> Portal:
        assert self.services.portal
        return self.services.portal

    def link(self, tenant_id: str = "acme", **changes: Any) -> str:
        """Make a session and return the path that opens it."""
        now = self.clock()
        session = Session(
            tenant_id, portal.new_id(), "", "deposit pay", RETURN, now, now + 5 * MINUTE, now + HOUR
        )
        session = session._replace(**changes)
        with self.database.write() as tx:
            portal.add(tx, session)
        values = (session.tenant_id, session.session_id, session.link_expires_at)
        return f"/billing/enter?link={seal(self.look.link_keys, *values)}"

    def fund(self, amount: int, tenant_id: str = "acme", order_id: int = 63) -> None:
        """Let an order credit a tenant."""
        draft = EffectDraft(
            tenant_id, "EUR", "main", order_id, "deposit", amount, self.clock(), "an order"
        )
        with self.database.write() as tx:
            ledger.post(tx, [draft], self.clock())

    def debit(self, amount: int, key: str, kind: Kind = Kind.DEBIT, **more: Any) -> None:
        """Debit acme, or hold."""
        draft = Draft(
            kind, "acme", "EUR", amount, "core", key, request_digest(key), "plans", "api/core"
        )
        with self.database.write() as tx:
            ledger.post(tx, [draft._replace(**more)], self.clock())

    def deposit(self, amount: int, tenant_id: str = "acme", **more: Any) -> Deposit:
        """Open a deposit as the SaaS core would."""
        deposit = made_deposit(tenant_id, amount, self.clock(), **more)
        with self.database.write() as tx:
            deposits.add(tx, deposit)
        return deposit

    def request(self, amount: int, tenant_id: str = "acme", **more: Any) -> PaymentRequest:
        """Put something up for payment."""
        request_id = payment_requests.new_id()
        request = PaymentRequest(
            *(tenant_id, request_id, "core", request_id, bytes(32), amount, "EUR"),
            *("plan_purchase", "INV-7", "Plan Pro, November", "{}"),
            card_url="https://core.example/card",
            paypal_url="https://core.example/paypal",
            return_url="",
            created_at=self.clock(),
        )
        request = request._replace(**more)
        with self.database.write() as tx:
            payment_requests.add(tx, request)
        return request

    def renew(self, reference: str, amount: int, due_at: Instant, **more: Any) -> Renewal:
        """Agree on a renewal of acme's, in UTC, or on other terms for it."""
        usual = {"description": "", "timezone": "UTC", "created_at": self.clock()}
        terms = asked(reference, due_at, amount=amount, **(usual | more))
        return self.renewals.put(terms, create_tenant=True)[0]

    def run_renewals(self) -> None:
        """Do what is due now."""
        self.renewals.run(lambda: False)

    def balance(self, tenant_id: str = "acme") -> int:
        with self.database.read() as tx:
            return sum(wallet.balance for wallet in reports.wallets(tx, tenant_id))

    def entries(self) -> list[Any]:
        """Every entry of acme, to see that nothing changed."""
        with self.database.read() as tx:
            return list(reports.entries(tx, "acme", limit=1000))


class Browser:
    """A browser on that page: it keeps cookies, and posts the forms it was shown."""

    def __init__(self, site: Site, runner: asyncio.Runner) -> None:
        self.site = site
        self._runner = runner
        transport = httpx.ASGITransport(portal_app(site.services))
        self.client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    def enter(self, tenant_id: str = "acme", **changes: Any) -> Answer:
        """Open the page by a link."""
        return self.get(self.site.link(tenant_id, **changes))

    def get(self, path: str, **params: Any) -> Answer:
        return self.call("GET", path, params=params or None)

    def post(self, path: str, **form: str) -> Answer:
        """Post a form with the token that the first page shows."""
        return self.call("POST", path, data={"token": self.token()} | form)

    def token(self) -> str:
        found = re.search(r'name="token" value="([^"]+)"', self.get("/billing/").text)
        return found[1] if found else ""

    def call(self, method: str, path: str, **options: Any) -> Answer:
        async def answer() -> Answer:
            return await self.client.request(method, path, **options)

        return self._runner.run(answer())


@contextmanager
def browsing(site: Site) -> Iterator[Browser]:
    """A browser, until the block ends."""
    with asyncio.Runner() as runner:
        yield Browser(site, runner)
