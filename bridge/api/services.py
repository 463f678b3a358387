"""What the API leans on: made by the wiring, used by endpoints without blocking the event loop."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request

from bridge.api.pages.look import Portal
from bridge.domain.clock import Clock
from bridge.domain.crediting import Rules
from bridge.domain.deposit import Asked, Limits, Plan
from bridge.domain.drift import Comparison
from bridge.domain.entry import Draft, Outcome
from bridge.domain.errors import BacklogFullError
from bridge.domain.renewal import Renewal
from bridge.domain.signing import Keys
from bridge.store.balances import Balances
from bridge.store.batcher import Batcher, Result
from bridge.store.database import READERS_MAX, Database
from bridge.store.deposits import Deposit
from bridge.store.renewal_payments import ByHand

THREADS_MAX = READERS_MAX // 5
"""Blocking store calls of one app at a time; three apps leave two fifths of the pool to others."""

WAITING_MAX = 1000
"""Store calls that may wait for a thread before requests are refused."""

ASKING_MAX = 8
"""Calls of one app that ask a storefront at a time, for a slow one must not take the store's."""

ASKING_WAITING_MAX = 100
"""Calls that may wait to ask a storefront before requests are refused."""

P = ParamSpec("P")
T = TypeVar("T")


class Storefront(NamedTuple):
    """A storefront as the API knows it: its rules to explain orders, its secrets to trust hints."""

    name: str
    rules: Rules
    webhook_secrets: tuple[str, ...]


class DepositDesk(Protocol):
    """Opens deposits and calls them off: `billing.Deposits`, or a test's own."""

    plans: Mapping[str, Plan]

    def limits(self, currency: str, storefront: str = "") -> Limits:
        """Return what may be deposited; DepositRefusedError where nothing may."""

    def open(self, asked: Asked, *, create_tenant: bool) -> tuple[Deposit, bool]:
        """Open a deposit; True where it was opened before, under the same key."""

    def cancel(self, deposit_id: str) -> Deposit:
        """Call a deposit off; DepositClosedError where it is paid."""


class RenewalDesk(Protocol):
    """Agrees on renewals, ends them and pays them by hand: `billing.Renewals`, or a test's own."""

    def put(self, asked: Renewal, *, create_tenant: bool) -> tuple[Renewal, bool]:
        """Agree on a renewal; True where there was none. TenantNotFoundError, unless created."""

    def end(self, reference: str, tenant_id: str = "") -> Renewal:
        """End a renewal; RenewalNotFoundError or RenewalAmbiguousError as when it is read."""

    def pay(self, asked: ByHand) -> tuple[Renewal, Outcome]:
        """Pay a period now."""


class Services(NamedTuple):
    """Everything the API needs from outside.

    The batcher answers in the event loop: it was started in it. So do the balances.
    `reconcile` starts a run in the background and returns its id; it may raise a BridgeError.
    `nudge` tells that a hint arrived for a storefront and returns at once. `ready` says why
    requests cannot be served yet; an empty list means ready. Without `deposits` none can be
    opened, without `portal` tenants have no page, without `renewals` there are none; `offer_keys`
    open the links by which a deposit is offered in a letter, and `subscribers` are the endpoints
    with the types of events that they are told of.
    """

    database: Database
    batcher: Batcher
    balances: Balances
    clock: Clock
    storefronts: Mapping[str, Storefront]
    tenant_pattern: re.Pattern[str]
    create_tenants: bool
    reconcile: Callable[[Comparison], str]
    nudge: Callable[[str], None]
    ready: Callable[[], list[str]]
    deposits: DepositDesk | None = None
    portal: Portal | None = None
    renewals: RenewalDesk | None = None
    offer_keys: Keys = ()
    subscribers: Mapping[str, frozenset[str]] = MappingProxyType({})


class Desk:
    """Where endpoints ask: blocking calls run in a few threads, drafts go to the batcher.

    The threads are fewer than the pool's connections, so that a crowd of requests waits here, in
    order, and never for each other's connections.
    """

    def __init__(self, services: Services) -> None:
        self.services = services
        self._threads = CapacityLimiter(THREADS_MAX)
        self._asking = CapacityLimiter(ASKING_MAX)
        # Counted here: the limiter does not know of calls that came in this very moment.
        self._calls: Counter[CapacityLimiter] = Counter()

    async def read(
        self, question: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Ask the store: `question(tx, ...)` in a database transaction of its own."""
        return await self.call(self._read, lambda tx: question(tx, *args, **kwargs))

    async def write(
        self, change: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Change the store: `change(tx, ...)`, committed on return. Money goes by `post`."""
        return await self.call(self._write, lambda tx: change(tx, *args, **kwargs))

    async def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call a blocking function in a thread; BacklogFullError where too many wait for one."""
        if self._calls[self._threads] >= WAITING_MAX + THREADS_MAX:
            raise BacklogFullError("too many requests wait for the database; retry later")
        return await self._in_thread(self._threads, function, *args)

    async def ask(self, function: Callable[..., T], *args: Any) -> T:
        """Call what asks a storefront, in a thread; BacklogFullError where too many wait."""
        if self._calls[self._asking] >= ASKING_WAITING_MAX + ASKING_MAX:
            raise BacklogFullError("too many requests wait for the storefront; retry later")
        return await self._in_thread(self._asking, function, *args)

    async def _in_thread(
        self, threads: CapacityLimiter, function: Callable[..., T], *args: Any
    ) -> T:
        self._calls[threads] += 1
        try:
            return await to_thread.run_sync(function, *args, limiter=threads)
        finally:
            self._calls[threads] -= 1

    async def post(self, drafts: Sequence[Draft]) -> list[Outcome]:
        """Post drafts in one commit that other requests share; one outcome each."""
        waiting: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self.services.batcher.hand_in(drafts, partial(_answer, waiting))
        return await waiting

    def _read(self, question: Callable[[Any], T]) -> T:
        with self.services.database.read() as tx:
            return question(tx)

    def _write(self, change: Callable[[Any], T]) -> T:
        with self.services.database.write() as tx:
            return change(tx)


def _answer(waiting: asyncio.Future[list[Outcome]], result: Result) -> None:
    if waiting.done():  # the caller has gone; what it handed in is posted nevertheless
        return
    if isinstance(result, Exception):
        waiting.set_exception(result)
    else:
        waiting.set_result(result)


async def desk_of(request: Request) -> Desk:
    """Return the desk of the app that serves the request."""
    desk: Desk = request.app.state.desk
    return desk


DeskHere = Annotated[Desk, Depends(desk_of)]
