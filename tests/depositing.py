"""Deposits that bridge started, the tags of their orders, and payment requests."""

from typing import Any

from bridge.domain.clock import DAY, SECOND
from bridge.domain.deposit import Tag
from bridge.domain.signing import Keys, derived
from bridge.store import deposits
from bridge.store.database import Database
from bridge.store.deposits import Deposit
from bridge.store.payment_requests import PaymentRequest
from tests.examples import NOON

KEYS: Keys = derived(["correct horse battery staple stapler"], "deposit-tag/main")


def deposit(number: int = 1, **fields: Any) -> Deposit:
    """A deposit of acme's over 50.00 EUR and nothing on top, paid on an order's pay page."""
    usual = Deposit(
        tenant_id="acme",
        deposit_id=f"dep{number:017}",
        caller="api:core",
        idempotency_key=f"key-{number}",
        request_digest=b"digest",
        storefront="main",
        mode="pay",
        amount=5000,
        bonus=0,
        currency="EUR",
        plan="",
        periods=1,
        return_url="",
        metadata="{}",
        expires_at=NOON + DAY,
        created_at=NOON,
        watch_since=NOON,
        watch_at=NOON + 2 * SECOND,
        changed_at=NOON,
    )
    return usual._replace(**fields)


def payment_request(number: int = 1, **fields: Any) -> PaymentRequest:
    """A request that acme pay 19.00 EUR."""
    usual = PaymentRequest(
        tenant_id="acme",
        request_id=f"pay{number:017}",
        caller="api:core",
        idempotency_key=f"key-{number}",
        request_digest=b"digest",
        amount=1900,
        currency="EUR",
        purpose="plan_renewal",
        reference="invoice-7",
        description="Pro for a month",
        metadata='{"plan":"pro"}',
        card_url="https://core.example.com/card",
        paypal_url="",
        return_url="https://core.example.com/",
        created_at=NOON,
        changed_at=NOON,
    )
    return usual._replace(**fields)


def sealed(deposit: Deposit, keys: Keys = KEYS, **fields: Any) -> str:
    """The tag of a deposit's order, or one that says otherwise."""
    tag = Tag(
        deposit.deposit_id,
        deposit.tenant_id,
        deposit.amount,
        deposit.currency,
        deposit.bonus,
    )
    return tag._replace(**fields).sealed(keys)


def begin(database: Database, *made: Deposit) -> None:
    """Keep new deposits."""
    with database.write() as tx:
        for one in made:
            deposits.add(tx, one)


def kept(database: Database, deposit: Deposit) -> Deposit:
    """The deposit as it is now."""
    with database.read() as tx:
        return deposits.get(tx, deposit.deposit_id)
