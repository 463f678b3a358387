"""Asks the API as its callers do: real applications, a real database, no network."""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx

from bridge.api.app import internal_app, webhook_app
from bridge.api.services import Services, Storefront
from bridge.billing.deposits import Deposits
from bridge.billing.renewals import Renewals
from bridge.billing.tills import Till
from bridge.domain.clock import DAY
from bridge.domain.crediting import Rules
from bridge.domain.deposit import Limits, Mode, Plan, Terms, Tier
from bridge.domain.drift import Comparison
from bridge.domain.signing import derived
from bridge.domain.tenant import DEFAULT_PATTERN
from bridge.notify.publish import Subscriber
from bridge.store import keys, runs
from bridge.store.balances import Balances
from bridge.store.batcher import Batcher
from bridge.store.database import Database
from bridge.store.leases import Leases
from tests.conftest import FakeClock
from tests.pages.visiting import portal_look
from tests.renewing import TERMS
from tests.telling import publisher

SECRET = "whsec-throwaway"
Answer = httpx.Response


class Call(NamedTuple):
    """A request to be made together with others."""

    method: str
    path: str
    json: Any = None
    key: str | None = None


class Api:
    """The internal API and the webhook listener of one bridge, and a key that may do all."""

    def __init__(self, database: Database, clock: FakeClock, runner: asyncio.Runner) -> None:
        self.database = database
        self.clock = clock
        self.batcher = Batcher(database, clock)
        self.balances = Balances(database)
        self.nudged: list[str] = []
        self.compared: list[Comparison] = []
        self.reasons: list[str] = []
        self._runner = runner
        self.renewals = Renewals(database, clock, TERMS)
        self.services = Services(
            database=database,
            batcher=self.batcher,
            balances=self.balances,
            clock=clock,
            storefronts={
                "main": Storefront("main", Rules(), (SECRET,)),
                "closed": Storefront("closed", Rules(), ()),
            },
            tenant_pattern=re.compile(DEFAULT_PATTERN),
            create_tenants=True,
            reconcile=self._reconcile,
            nudge=self.nudged.append,
            ready=lambda: self.reasons,
            renewals=self.renewals,
        )
        self.token = self.new_key("core", *keys.SCOPES)
        self.serve(self.services)

    def serve(self, services: Services) -> None:
        """Build the applications anew, from these services."""
        self.internal = self._client(internal_app(services))
        self.public = self._client(webhook_app(services))

    def take_deposits(self) -> None:
        """Serve with deposits, which are links here and need no storefront, and with a portal."""
        deposits = Deposits(
            self.database,
            Leases(self.database, self.clock, "test"),
            self.clock,
            {"main": _till()},
            {"pro": Plan("pro", "Pro", 1900, "EUR", "month")},
            "",
        )
        self.services = self.services._replace(deposits=deposits, portal=portal_look())
        self.serve(self.services)

    def new_key(self, name: str, *scopes: str) -> str:
        with self.database.write() as tx:
            return keys.create(tx, name, list(scopes), self.clock())[1]

    def get(self, path: str, **params: Any) -> Answer:
        return self.call("GET", path, params=params)

    def post(self, path: str, json: Any = None, *, key: str | None = None) -> Answer:
        return self.call("POST", path, json=json, headers=_keyed(key))

    def put(self, path: str, json: Any = None) -> Answer:
        return self.call("PUT", path, json=json)

    def raw(self, body: bytes, path: str = "/v1/debits", **headers: str) -> Answer:
        """Send a body as it is, as JSON unless `headers` say otherwise."""
        sent = {"Content-Type": "application/json", "Idempotency-Key": "raw"} | headers
        return self.call("POST", path, content=body, headers=sent)

    def call(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Answer:
        """Make one request, with the key that may do everything unless `headers` have another."""
        sent = {"Authorization": f"Bearer {self.token}"} | dict(headers or {})
        return self._run(self.internal.request(method, path, headers=sent, **options))

    def deliver(
        self, path: str, body: bytes | Iterable[bytes], headers: Mapping[str, str]
    ) -> Answer:
        """Post to the webhook listener."""
        content = body if isinstance(body, bytes) else _stream(body)
        return self._run(self.public.post(path, content=content, headers=dict(headers)))

    def call_public(self, method: str, path: str) -> Answer:
        """Make another request to the webhook listener."""
        return self._run(self.public.request(method, path))

    def together(self, calls: Iterable[Call]) -> list[Answer]:
        """Make requests at the same time."""

        async def gather() -> list[Answer]:
            return await asyncio.gather(
                *(
                    self.internal.request(
                        call.method,
                        call.path,
                        json=call.json,
                        headers={"Authorization": f"Bearer {self.token}", **_keyed(call.key)},
                    )
                    for call in calls
                )
            )

        return self._runner.run(gather())

    def stop(self) -> None:
        """Stop as the daemon does: while the event loop runs."""
        self._runner.run(self._stop())

    async def _stop(self) -> None:
        self.balances.close()
        await asyncio.to_thread(self.batcher.stop)

    def fund(self, amount: int, tenant_id: str = "acme", currency: str = "EUR") -> None:
        """Give a tenant a balance, under a key of its own."""
        json = {
            "tenant_id": tenant_id,
            "amount": amount,
            "currency": currency,
            "reason": "for the test",
            "actor": "test",
        }
        answer = self.post("/v1/adjustments", json, key=f"fund/{tenant_id}/{currency}/{amount}")
        assert answer.status_code == 201, answer.text

    def debit(self, amount: Any, key: str = "d1", **more: Any) -> Answer:
        return self.post("/v1/debits", debit(amount, **more), key=key)

    def balance(self, tenant_id: str = "acme", currency: str = "EUR") -> tuple[int, int]:
        """Return balance and held."""
        answer = self.get(f"/v1/tenants/{tenant_id}/balances/{currency}").json()
        return answer["balance"], answer["held"]

    def _reconcile(self, comparison: Comparison) -> str:
        self.compared.append(comparison)
        with self.database.write() as tx:
            request = comparison._asdict()
            return runs.start(tx, comparison.storefront, "reconcile", self.clock(), request)

    def _run(self, answer: Any) -> Answer:
        answered: Answer = self._runner.run(_awaited(answer))
        return answered

    def _client(self, app: Any) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app)
        return httpx.AsyncClient(transport=transport, base_url="http://bridge")


def _till() -> Till:
    def no_storefront() -> Any:
        raise AssertionError("a link needs no storefront")

    limits = Limits("EUR", 500, 1_000_000, tiers=(Tier(10_000, 500),))
    return Till(
        "main",
        "https://store.example.com",
        "_tenant_id",
        Terms(Mode.CHECKOUT, DAY, {"EUR": limits}),
        derived(["secret"], "deposit-tag/main"),
        derived(["secret"], "deposit-link/main"),
        no_storefront,
    )


@contextmanager
def served(database: Database, clock: FakeClock) -> Iterator[Api]:
    """Serve the API on a database until the block ends."""
    with asyncio.Runner() as runner:
        api = Api(database, clock, runner)
        api.batcher.start(runner.get_loop())
        try:
            yield api
        finally:
            api.stop()


def debit(amount: Any, tenant_id: str = "acme", currency: str = "EUR", **more: Any) -> Any:
    """Return the body of a debit."""
    purpose = more.pop("purpose", "plan_renewal")
    return {
        "tenant_id": tenant_id,
        "amount": amount,
        "currency": currency,
        "purpose": purpose,
        **more,
    }


def code(answer: Answer) -> tuple[int, str]:
    """Return a problem's status and code, having checked that it is one as RFC 9457 says."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["type"] == f"urn:problem-type:bridge:{problem['code']}"
    assert problem["title"]
    assert problem["detail"]
    return answer.status_code, problem["code"]


def fields(answer: Answer) -> list[str]:
    """Return the names of the fields that an invalid request is refused for."""
    assert answer.status_code == 422, answer.text
    return [error["field"] for error in answer.json()["errors"]]


def publish(api: Api, *subscribers: Subscriber) -> None:
    """Make events of whatever happened, as the daemon does all the time."""
    publish = publisher(api.database, api.clock, *subscribers).publish
    while publish():
        pass


async def _awaited(answer: Any) -> Answer:
    answered: Answer = await answer
    return answered


async def _stream(chunks: Iterable[bytes]) -> Any:
    for chunk in chunks:
        yield chunk


def _keyed(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Idempotency-Key": key}
