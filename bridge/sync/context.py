"""What runs are given: where to write, where to read, and by which rules."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Protocol

from bridge.domain.clock import DAY, SECOND, Clock, Instant
from bridge.domain.crediting import Rules
from bridge.domain.errors import StoppingError
from bridge.domain.order import Order, Unreadable
from bridge.store.database import Database
from bridge.store.leases import Leases
from bridge.storefront.client import Page

Counts = Counter[str]
"""Orders by what became of them."""

LEASE_S = 120
"""Seconds after which the run of a process that died may be begun by another."""


class Client(Protocol):
    """A storefront to read from; `bridge.storefront.client.Client` is the real one."""

    def changed(self, since: Instant, until: Instant | None = None) -> Iterator[Page]:
        """Yield the orders modified in a window, by pages."""

    def created(self, since: Instant, until: Instant | None = None) -> Iterator[Page]:
        """Yield the orders created in a window, by pages."""

    def orders(self, order_ids: Iterable[int]) -> dict[int, Order | Unreadable | None]:
        """Return each order as it is now, in the trash or not; None if it was deleted for good."""

    def with_refund_lines(self, order: Order) -> Order:
        """Return the order with its refunds read line by line."""


@dataclass(frozen=True)
class Policy:
    """How a storefront's orders are credited, and whether an unknown tenant is created or held."""

    storefront: str
    rules: Rules = field(default_factory=Rules)
    create_tenants: bool = True

    @cached_property
    def rules_digest(self) -> bytes:
        """What tells these rules from others, made once for all the orders of a run."""
        return hashlib.sha256(self.rules.fingerprint().encode()).digest()


class Source(NamedTuple):
    """A storefront: how to read it, and how to credit what it says."""

    client: Client
    policy: Policy
    import_from: Instant
    poll_overlap_s: int = 300
    sweep_window_s: int = 35 * DAY // SECOND

    @property
    def name(self) -> str:
        """The storefront's name."""
        return self.policy.storefront


def _never() -> bool:
    return False


class Context(NamedTuple):
    """The process's own things. `stopping` turns true when it is going down."""

    database: Database
    leases: Leases
    clock: Clock
    stopping: Callable[[], bool] = _never

    def go_on(self, lease: str) -> None:
        """Renew a run's lease between two pages.

        Raises StoppingError where the process is going down: what was settled is committed, and
        the rest is done by the next run. Raises LeaseHeldError where the lease was lost.
        """
        if self.stopping():
            raise StoppingError(f"{lease} was abandoned: bridge is stopping")
        self.leases.renew(lease, LEASE_S)
