"""How the alerts of wallets stand, and what each tenant wants to be told."""

import json
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, text

from bridge.domain.alert import Latch, Threshold
from bridge.domain.clock import Instant
from bridge.domain.renewal import COMING
from bridge.domain.wallet import Wallet, WalletId
from bridge.store import bulk, tables
from bridge.store.among import among, listed
from bridge.store.listing import Listing

ALERTS = tables.table(tables.Alert)
NOTICES = tables.table(tables.Notice)
WALLETS = tables.table(tables.Wallet)

LOW, NEGATIVE = "low", "negative"


class Notice(NamedTuple):
    """Whom to tell of a tenant's balance, "" for nobody, and in which language.

    `thresholds` by currency; for others the configuration's own hold. The SaaS core says all of
    this: bridge takes no addresses from orders.
    """

    tenant_id: str
    email: str = ""
    language: str = ""
    thresholds: Mapping[str, Threshold] = {}


def notices(tx: Connection, tenant_ids: Collection[str]) -> dict[str, Notice]:
    """Return what is known of these tenants' wishes."""
    found = among(tx, NOTICES, ("tenant_id",), {(tenant_id,) for tenant_id in tenant_ids})
    return {row.tenant_id: _notice(row) for row in found}


def put_notice(tx: Connection, notice: Notice, now: Instant) -> None:
    """Keep a tenant's wishes, over those from before."""
    thresholds = {code: mark._asdict() for code, mark in sorted(notice.thresholds.items())}
    values = notice._asdict() | {"thresholds": json.dumps(thresholds), "changed_at": now}
    tx.execute(_PUT_NOTICE, values)


_PUT_NOTICE = text(
    "INSERT INTO notices (tenant_id, email, language, thresholds, changed_at)"
    " VALUES (:tenant_id, :email, :language, :thresholds, :changed_at)"
    " ON CONFLICT (tenant_id) DO UPDATE SET email = excluded.email, language = excluded.language,"
    " thresholds = excluded.thresholds, changed_at = excluded.changed_at"
)


def forget_notice(tx: Connection, tenant_id: str) -> None:
    """Forget a tenant's wishes, the address too."""
    tx.execute(delete(NOTICES).where(NOTICES.c.tenant_id == tenant_id))


def wallets(tx: Connection, ids: Iterable[WalletId]) -> list[Wallet]:
    """Return these wallets as they are now."""
    return [Wallet._make(row) for row in among(tx, WALLETS, WalletId._fields, ids)]


def latches(tx: Connection, ids: Iterable[WalletId]) -> dict[tuple[WalletId, str], Latch]:
    """Return how the alerts of these wallets stand, by wallet and kind, as far as any did."""
    found = among(tx, ALERTS, WalletId._fields, ids)
    return {
        (WalletId(row.tenant_id, row.currency), row.kind): Latch(
            row.since, row.told_at, bool(row.told)
        )
        for row in found
    }


def save(tx: Connection, changed: Mapping[tuple[WalletId, str], Latch], cooldown: Instant) -> None:
    """Keep latches that changed, and say when to look at them again unless they are due anyway."""
    latches = [
        (*wallet, kind, latch.since, latch.told_at, int(latch.told), latch.due_at(cooldown))
        for (wallet, kind), latch in sorted(changed.items())
    ]
    bulk.insert(tx, ALERTS, latches, _OVER)


_OVER = (
    "ON CONFLICT (tenant_id, currency, kind) DO UPDATE SET since = excluded.since,"
    " told_at = excluded.told_at, told = excluded.told,"
    # What is there was not there when `looked_at` was called: somebody touched the wallet since.
    " due_at = COALESCE(alerts.due_at, excluded.due_at)"
)


def notable(tx: Connection, marks: Iterable[tuple[str, str, int]]) -> set[WalletId]:
    """Return those of some wallets of which `domain.alert.follow` could have anything to say.

    They come as tenant, currency and the mark below which they are low by the configuration. Most
    balances are far above, and cost no more than this one statement.
    """
    dialect = tx.dialect.name
    asked = _ASKED.said(dialect, marks)
    return {WalletId(*row) for row in tx.exec_driver_sql(_notable(dialect), asked)}


_ASKED = Listing("asked", tenant_id="TEXT", currency="TEXT", mark="BIGINT")


@cache
def _notable(dialect: str) -> str:
    coming = ", ".join(f"'{status}'" for status in sorted(COMING))
    # NUMERIC, since a sum of two amounts may leave 64 bits.
    return (
        f"WITH {_ASKED.read(dialect)}, touched AS (SELECT tenant_id, currency, balance,"
        " CAST(balance AS NUMERIC) - held AS available, mark"
        " FROM asked JOIN wallets USING (tenant_id, currency))"
        " SELECT tenant_id, currency FROM touched WHERE balance < 0 OR available < mark"
        " UNION SELECT tenant_id, currency FROM touched JOIN alerts USING (tenant_id, currency)"
        " WHERE since IS NOT NULL"
        " UNION SELECT tenant_id, currency FROM touched JOIN notices USING (tenant_id)"
        " WHERE thresholds <> '{}'"
        " UNION SELECT tenant_id, currency FROM touched JOIN renewals USING (tenant_id, currency)"
        f" WHERE status IN ({coming}) AND CAST(amount AS NUMERIC) + keep_at_least > available"
    )


def due(tx: Connection, now: Instant, limit: int) -> set[WalletId]:
    """Return wallets to look at, up to `limit` latches of them.

    Their cooldown has ended while they were below and untold, or they were touched.
    """
    return {WalletId(*row) for row in tx.execute(_DUE, {"now": now, "limit": limit})}


_DUE = text(
    "SELECT tenant_id, currency FROM alerts WHERE due_at <= :now ORDER BY due_at LIMIT :limit"
)


def looked_at(tx: Connection, ids: Iterable[WalletId]) -> None:
    """Let wallets be due no more, before what is said of them is read.

    So whoever touches them later, while they are looked at, makes them due again.
    """
    dialect = tx.dialect.name
    tx.exec_driver_sql(_looked_at(dialect), _LOOKED_AT.said(dialect, sorted(ids)))


_LOOKED_AT = listed(ALERTS, WalletId._fields)


@cache
def _looked_at(dialect: str) -> str:
    return (
        f"WITH {_LOOKED_AT.read(dialect)} UPDATE alerts SET due_at = NULL FROM asked"
        " WHERE alerts.tenant_id = asked.tenant_id AND alerts.currency = asked.currency"
    )


def touch(tx: Connection, tenant_id: str, now: Instant) -> None:
    """Let a tenant's wallets be looked at: what is low for them has changed."""
    tx.execute(_TOUCH, {"tenant_id": tenant_id, "kind": LOW, "now": now})


_TOUCH = text(
    "INSERT INTO alerts (tenant_id, currency, kind, told, due_at)"
    " SELECT tenant_id, currency, :kind, 0, CAST(:now AS BIGINT) FROM wallets"
    " WHERE tenant_id = :tenant_id ORDER BY currency"
    " ON CONFLICT (tenant_id, currency, kind) DO UPDATE SET due_at = excluded.due_at"
)


def _notice(row: Any) -> Notice:
    thresholds = {code: Threshold(**mark) for code, mark in json.loads(row.thresholds).items()}
    return Notice(row.tenant_id, row.email, row.language, thresholds)
