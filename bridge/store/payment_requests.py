"""Payment requests: what the SaaS core asks a tenant to pay once, from the balance or elsewhere."""

import json
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, insert, select, text, tuple_

from bridge.domain.clock import Instant, isoformat
from bridge.domain.entry import PLANS, POSTED, Draft, Kind, Outcome, request_digest
from bridge.domain.errors import BridgeError, NotFoundError
from bridge.domain.event import EventType, Happened
from bridge.store import ledger, outbox, tables
from bridge.store.among import among
from bridge.store.deposits import random_id

REQUESTS = tables.table(tables.PaymentRequest)


class PaymentRequestNotFoundError(NotFoundError):
    """No such payment request."""

    code = "payment_request_not_found"


class PaymentRequestClosedError(BridgeError):
    """The payment request was paid or called off before."""

    code = "payment_request_closed"
    http_status = 409


class PaymentRequest(NamedTuple):
    """A payment request; the fields stand in the order of the table's columns.

    `amount` is in minor units, `purpose` that of the debit which pays it, `metadata` a JSON object
    of strings. `card_url` and `paypal_url` are where it can be paid without the balance, "" where
    it cannot. `entry_id` is the debit's, once it is paid.
    """

    tenant_id: str
    request_id: str
    caller: str
    idempotency_key: str
    request_digest: bytes
    amount: int
    currency: str
    purpose: str
    reference: str
    description: str
    metadata: str
    card_url: str
    paypal_url: str
    return_url: str
    created_at: Instant
    status: Literal["open", "paid", "cancelled"] = "open"
    entry_id: str = ""
    changed_at: Instant = 0

    @property
    def draft(self) -> Draft:
        """The debit that pays it, under its own id as the key: so it is paid once."""
        return Draft(
            Kind.DEBIT,
            self.tenant_id,
            self.currency,
            self.amount,
            caller="payment_request",
            key=self.request_id,
            digest=request_digest("payment_request", self.request_id, self.amount, self.currency),
            contra=PLANS,
            source=f"payment_request/{self.request_id}/{self.purpose}",
            reference=self.reference,
            description=self.description,
            metadata=self.metadata,
        )


def new_id() -> str:
    """Return an id that no payment request has."""
    return random_id("pay")


def add(tx: Connection, request: PaymentRequest) -> None:
    """Keep a new payment request; its idempotency key must be new, too."""
    tx.execute(insert(REQUESTS).values(**request._asdict()))


def asked(tx: Connection, tenant_id: str, caller: str, key: str) -> PaymentRequest | None:
    """Return the payment request that was made under an idempotency key."""
    query = select(REQUESTS).where(
        REQUESTS.c.tenant_id == tenant_id,
        REQUESTS.c.caller == caller,
        REQUESTS.c.idempotency_key == key,
    )
    return next(map(_request, tx.execute(query)), None)


def get(tx: Connection, request_id: str) -> PaymentRequest:
    """Return a payment request; PaymentRequestNotFoundError where there is none by that id."""
    query = select(REQUESTS).where(REQUESTS.c.request_id == request_id)
    return _found(map(_request, tx.execute(query)), request_id)


def of_tenant(
    tx: Connection,
    tenant_id: str,
    *,
    status: str | None = None,
    before: tuple[Instant, str] | None = None,
    limit: int,
) -> list[PaymentRequest]:
    """Return a tenant's payment requests, newest first.

    `before` is time and id of the last one of the page before.
    """
    query = select(REQUESTS).where(REQUESTS.c.tenant_id == tenant_id)
    if status is not None:
        query = query.where(REQUESTS.c.status == status)
    if before is not None:
        query = query.where(tuple_(REQUESTS.c.created_at, REQUESTS.c.request_id) < before)
    order = (REQUESTS.c.created_at.desc(), REQUESTS.c.request_id.desc())
    return [_request(row) for row in tx.execute(query.order_by(*order).limit(limit))]


def locked(tx: Connection, request_ids: Iterable[str]) -> dict[str, PaymentRequest]:
    """Return payment requests by their ids, locked for this database transaction in that order."""
    keys = {(request_id,) for request_id in request_ids}
    requests = map(_request, among(tx, REQUESTS, ("request_id",), keys, lock=True))
    return {request.request_id: request for request in requests}


def pay(tx: Connection, request_id: str, now: Instant) -> tuple[PaymentRequest, Outcome]:
    """Pay from the balance, once: a request that was paid so is replayed.

    Where the debit is declined, the request stays open. Raises PaymentRequestClosedError for one
    that was called off.
    """
    request = _locked(tx, request_id)
    if request.status == "cancelled":
        raise PaymentRequestClosedError(
            f"payment request {request_id} was called off; nothing was taken for it"
        )
    [outcome] = ledger.post(tx, [request.draft], now)
    if outcome.status == POSTED and outcome.entry:
        request = request._replace(status="paid", entry_id=outcome.entry.id, changed_at=now)
        _save(tx, request)
        outbox.add(tx, [_paid(request)])
    return request, outcome


def cancel(tx: Connection, request_id: str, now: Instant) -> PaymentRequest:
    """Call off a payment request, also one that was called off before.

    Raises PaymentRequestClosedError where it was paid from the balance.
    """
    request = _locked(tx, request_id)
    if request.status == "paid":
        raise PaymentRequestClosedError(
            f"payment request {request_id} was paid by entry {request.entry_id}; refund that debit"
        )
    if request.status == "open":
        request = request._replace(status="cancelled", changed_at=now)
        _save(tx, request)
    return request


_SAID_AS_KEPT = (
    *("tenant_id", "amount", "currency", "purpose", "reference", "description"),
    *("status", "entry_id"),
)


def _paid(request: PaymentRequest) -> Happened:
    data = {name: getattr(request, name) for name in _SAID_AS_KEPT} | {
        "id": request.request_id,
        "metadata": json.loads(request.metadata),
        "created_at": isoformat(request.created_at),
        "changed_at": isoformat(request.changed_at),
    }
    return Happened(EventType.PAYMENT_REQUEST_PAID, request.tenant_id, request.changed_at, data)


def _locked(tx: Connection, request_id: str) -> PaymentRequest:
    return _found(locked(tx, [request_id]).values(), request_id)


def _found(requests: Iterable[PaymentRequest], request_id: str) -> PaymentRequest:
    for request in requests:
        return request
    raise PaymentRequestNotFoundError(f"no payment request {request_id!a:.60}; check its id")


def _save(tx: Connection, request: PaymentRequest) -> None:
    tx.execute(_SAVE, request._asdict())


_SAVE = text(
    "UPDATE payment_requests"
    " SET status = :status, entry_id = :entry_id, changed_at = :changed_at"
    " WHERE tenant_id = :tenant_id AND request_id = :request_id"
)


def _request(row: Any) -> PaymentRequest:
    return PaymentRequest._make(row)
