"""Answers read from the store: tenants, balances, entries, holds."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from sqlalchemy import Connection, select, text, tuple_

from bridge.domain.clock import Instant
from bridge.domain.entry import Entry, EntryId, Kind
from bridge.domain.errors import NotFoundError
from bridge.domain.held import HeldReason
from bridge.domain.wallet import Wallet
from bridge.store import inbox, orders, tables
from bridge.store.inbox import Hint

ENTRIES = tables.table(tables.Entry)
OPEN_HOLDS = tables.table(tables.OpenHold)
TENANTS = tables.table(tables.Tenant)
WALLETS = tables.table(tables.Wallet)


class TenantNotFoundError(NotFoundError):
    """No such tenant."""

    code = "tenant_not_found"


class EntryNotFoundError(NotFoundError):
    """No such entry, or it is not of the kind that was asked for."""

    code = "entry_not_found"


class Tenant(NamedTuple):
    """A tenant; `metadata` is a JSON object of strings."""

    tenant_id: str
    name: str
    metadata: str
    created_at: Instant


HoldStatus = Literal["open", "captured", "voided", "expired"]


class Hold(NamedTuple):
    """A hold and what became of it."""

    entry: Entry
    status: HoldStatus
    captured: int
    closed_by: Entry | None


def put_tenant(
    tx: Connection, tenant_id: str, name: str, metadata: str, now: Instant
) -> tuple[Tenant, bool]:
    """Create a tenant or give it a new name and metadata; True where it was created.

    Orders that were held because nobody knew the tenant are looked at again.
    """
    created = not orders.tenants_known(tx, [tenant_id])
    values = {"tenant_id": tenant_id, "name": name, "metadata": metadata, "created_at": now}
    tx.execute(_PUT_TENANT, values)
    if created:
        waited = orders.held(tx, reason=HeldReason.TENANT_UNKNOWN, tenant_id=tenant_id)
        inbox.put(tx, [Hint(s.storefront, s.order_id, now, now, "tenant") for s in waited])
    return tenant(tx, tenant_id), created


_PUT_TENANT = text(
    "INSERT INTO tenants (tenant_id, name, metadata, created_at)"
    " VALUES (:tenant_id, :name, :metadata, :created_at)"
    " ON CONFLICT (tenant_id) DO UPDATE SET name = excluded.name, metadata = excluded.metadata"
)


def tenant(tx: Connection, tenant_id: str) -> Tenant:
    """Return a tenant; TenantNotFoundError where there is none."""
    row = tx.execute(select(TENANTS).where(TENANTS.c.tenant_id == tenant_id)).first()
    if row is None:
        raise TenantNotFoundError(
            f"no tenant {tenant_id!r}; it is created by its first deposit, or by PUT /v1/tenants/…"
        )
    return Tenant._make(row)


def require_tenant(tx: Connection, tenant_id: str, now: Instant, *, create: bool) -> None:
    """See that a tenant exists, and lock it; `create` makes one that does not.

    So what is asked twice at once is asked one after the other. TenantNotFoundError where there is
    none.
    """
    if create:
        tx.execute(_NEW_TENANT, {"tenant_id": tenant_id, "created_at": now})
    tenant(tx, tenant_id)
    tx.execute(
        select(TENANTS.c.tenant_id).where(TENANTS.c.tenant_id == tenant_id).with_for_update()
    )


_NEW_TENANT = text(
    "INSERT INTO tenants (tenant_id, name, metadata, created_at)"
    " VALUES (:tenant_id, '', '{}', :created_at) ON CONFLICT DO NOTHING"
)


def tenants(tx: Connection, after: str, limit: int) -> list[Tenant]:
    """Return up to `limit` tenants in id order, beginning behind the id `after`."""
    query = select(TENANTS).where(TENANTS.c.tenant_id > after)
    rows = tx.execute(query.order_by(TENANTS.c.tenant_id).limit(limit))
    return [Tenant._make(row) for row in rows]


def wallets(tx: Connection, tenant_id: str) -> list[Wallet]:
    """Return a tenant's wallets in currency order, but none that only a declined draft opened."""
    used = (WALLETS.c.tenant_id == tenant_id, WALLETS.c.version > 0)
    query = select(WALLETS).where(*used).order_by(WALLETS.c.currency)
    return [Wallet._make(row) for row in tx.execute(query)]


def wallet(tx: Connection, tenant_id: str, currency: str) -> Wallet:
    """Return a tenant's wallet, a zero one where nothing was ever posted.

    Raises TenantNotFoundError where there is no such tenant.
    """
    query = select(WALLETS).where(WALLETS.c.tenant_id == tenant_id, WALLETS.c.currency == currency)
    row = tx.execute(query).first()
    if row is None:
        tenant(tx, tenant_id)
    return Wallet(tenant_id, currency) if row is None else Wallet._make(row)


def entry(tx: Connection, place: EntryId) -> Entry:
    """Return the entry with this id; EntryNotFoundError where there is none."""
    query = select(ENTRIES).where(*(ENTRIES.c[k] == v for k, v in place._asdict().items()))
    row = tx.execute(query).first()
    if row is None:
        raise EntryNotFoundError(f"no entry {'.'.join(map(str, place))}; check its id")
    return Entry._make(row)


def entries(
    tx: Connection,
    tenant_id: str,
    *,
    currency: str | None = None,
    before: EntryId | None = None,
    limit: int,
) -> list[Entry]:
    """Return a tenant's entries, wallet by wallet, newest first; the last currency comes first.

    `before` is the last entry of the page before. The order is the key's, read backwards: no page
    sorts a tenant's entries, however many there are. SQLite would, if a currency were named twice.
    """
    query = select(ENTRIES).where(ENTRIES.c.tenant_id == tenant_id)
    if currency is not None:
        query = query.where(ENTRIES.c.currency == currency)
    if before is not None:
        place = tuple_(ENTRIES.c.currency, ENTRIES.c.version) < (before.currency, before.version)
        in_wallet = ENTRIES.c.version < before.version
        query = query.where(in_wallet if before.currency == currency else place)
    newest_first = query.order_by(ENTRIES.c.currency.desc(), ENTRIES.c.version.desc())
    return [Entry._make(row) for row in tx.execute(newest_first.limit(limit))]


def statement(tx: Connection, tenant_id: str, currency: str) -> Iterator[Entry]:
    """Yield a wallet's entries, oldest first."""
    query = (
        select(ENTRIES)
        .where(ENTRIES.c.tenant_id == tenant_id, ENTRIES.c.currency == currency)
        .order_by(ENTRIES.c.version)
    )
    yield from map(Entry._make, tx.execute(query.execution_options(yield_per=1000)))


def hold(tx: Connection, place: EntryId) -> Hold:
    """Return a hold and what became of it; EntryNotFoundError where the entry is no hold."""
    placed = entry(tx, place)
    if placed.kind != Kind.HOLD or placed.expires_at is None:
        raise EntryNotFoundError(f"entry {placed.id} is a {placed.kind}, not a hold of the API")
    query = select(ENTRIES).where(
        ENTRIES.c.tenant_id == place.tenant_id,
        ENTRIES.c.currency == place.currency,
        ENTRIES.c.related_version == place.version,
    )
    row = tx.execute(query).first()
    if row is None:
        return Hold(placed, "open", 0, None)
    return ended(placed, Entry._make(row))


def ended(placed: Entry, end: Entry) -> Hold:
    """Return a hold that the entry `end` captured, voided or expired."""
    return Hold(placed, _ENDS[end.kind], -end.amount, end)


_ENDS: dict[str, HoldStatus] = {
    Kind.CAPTURE: "captured",
    Kind.VOID: "voided",
    Kind.EXPIRE: "expired",
}


def expired_holds(tx: Connection, now: Instant, limit: int) -> list[EntryId]:
    """Return up to `limit` open holds whose time has run out, the oldest first."""
    query = select(OPEN_HOLDS).where(OPEN_HOLDS.c.expires_at <= now)
    rows = tx.execute(query.order_by(OPEN_HOLDS.c.expires_at).limit(limit))
    return [EntryId(*row[:3]) for row in rows]


def order_entries(
    tx: Connection, storefront: str, order_id: int, tenant_ids: list[str]
) -> list[Entry]:
    """Return the entries an order made in these tenants' wallets, oldest first.

    An effect's entries are keyed `<order>/<effect>#<currency>.<n>` by the storefront as caller, so
    they lie together in the index of idempotency keys.
    """
    query = select(ENTRIES).where(
        ENTRIES.c.tenant_id.in_(tenant_ids),
        ENTRIES.c.caller == f"storefront:{storefront}",
        ENTRIES.c.idempotency_key >= f"{order_id}/",
        ENTRIES.c.idempotency_key < f"{order_id}0",  # "0" follows "/" in ASCII
    )
    found = (Entry._make(row) for row in tx.execute(query))
    return sorted(found, key=lambda e: (e.recorded_at, e.tenant_id, e.currency, e.version))
