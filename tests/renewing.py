"""Renewals as the SaaS core asks for them, and short ways to keep, run and look at them."""

from collections import Counter
from typing import Any

from bridge.domain.clock import DAY, Instant
from bridge.domain.renewal import Renewal, Terms, Unit, agreed
from bridge.store import renewal_payments, renewals
from bridge.store.database import Database
from bridge.store.renewal_payments import ByHand
from tests.examples import NOON
from tests.telling import facts

TERMS = Terms(notice=7 * DAY, grace=14 * DAY)


def asked(reference: str = "sub-1", due_at: Instant = NOON, **fields: Any) -> Renewal:
    """What is asked for: 19.00 EUR of acme's every month, tried again after a day and after three.

    It comes with what the configuration says, too.
    """
    usual = Renewal(
        tenant_id="acme",
        reference=reference,
        amount=1900,
        currency="EUR",
        unit=Unit.MONTH,
        units=1,
        timezone="Europe/Berlin",
        auto_renew=1,
        max_amount=None,
        keep_at_least=0,
        priority=100,
        retries="[24,72]",
        grace_until=None,
        notice=TERMS.notice,
        grace=TERMS.grace,
        description="Pro for a month",
        metadata='{"plan":"pro"}',
        asked_due_at=due_at,
        anchor=due_at,
        created_at=NOON,
    )
    return usual._replace(**fields)


def renewal(
    reference: str = "sub-1", due_at: Instant = NOON, *, now: Instant = NOON, **fields: Any
) -> Renewal:
    """A new renewal, its first period present."""
    return agreed(None, asked(reference, due_at, **fields), now)


def keep(database: Database, *made: Renewal) -> None:
    """Keep renewals as they are."""
    with database.write() as tx:
        for one in made:
            renewals.put(tx, one)


def kept(database: Database, reference: str = "sub-1", tenant_id: str = "") -> Renewal:
    """The renewal as it is now."""
    with database.read() as tx:
        return renewals.find(tx, reference, tenant_id)


def renew(database: Database, now: Instant = NOON, limit: int = 100) -> dict[str, int]:
    """Look at what is due; what became of it, counted by the event's name behind the dot."""
    with database.write() as tx:
        became = renewals.renew(tx, now, limit)
    return {name.removeprefix("renewal."): number for name, number in became.items()}


def pay(
    database: Database,
    key: str = "k",
    reference: str = "sub-1",
    *,
    period: str = "",
    now: Instant = NOON,
) -> str:
    """Pay by hand for acme; what became of it, a decline by its reason."""
    with database.write() as tx:
        _, outcome = renewal_payments.pay(tx, ByHand("acme", "core", key, reference, period), now)
    return str(outcome.reason or outcome.status)


def counted(database: Database) -> Counter[str]:
    """How many facts about renewals there are, by the name behind the dot."""
    return Counter(fact.type.removeprefix("renewal.") for fact in facts(database))
