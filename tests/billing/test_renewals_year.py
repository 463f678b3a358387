"""A year of renewals in many zones: no period is missed, and none is paid twice.

Two replicas, whose clocks differ, run as their clocks go on in uneven steps: sometimes back, and
once they are down for forty days. The year has a leap day, Samoa leaves out the day 2011-12-30, and
the clocks of all zones but Nepal's are changed at least twice.
"""

import calendar
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bridge.billing.renewals import Renewals
from bridge.domain import renewal as rules
from bridge.domain.clock import DAY, HOUR, MINUTE, Instant, parse, to_datetime
from bridge.domain.renewal import Status, Unit
from bridge.store import ledger, renewals
from bridge.store.database import Database
from tests.renewing import TERMS, asked
from tests.store.drafting import adjustment, entries, problems

BEGIN = parse("2011-02-27T00:30:00Z")
END = parse("2012-03-05T12:00:00Z")

ZONES = [
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Europe/Berlin",
    "Pacific/Apia",
    "Pacific/Auckland",
]
INTERVALS = [(Unit.DAY, 1), (Unit.WEEK, 2), (Unit.MONTH, 1), (Unit.MONTH, 3), (Unit.YEAR, 1)]

POOR = "Europe/Berlin"
"""Whose tenant has money now and then only; the tenants are called as their zones."""


class Replica(NamedTuple):
    database: Database
    desk: Renewals


class FastClock:
    """The time of all replicas; each has one of its own that goes wrong by some minutes."""

    def __init__(self) -> None:
        self.now: Instant = BEGIN

    def wrong_by(self, minutes: int) -> Callable[[], Instant]:
        return lambda: self.now + minutes * MINUTE


def steps(dice: random.Random) -> Iterator[Instant]:
    """Yield by how much the clock goes on; it goes forty days on at once in the summer."""
    yield DAY
    for number in range(10_000):
        if number == 100:
            yield 40 * DAY
        yield dice.choice([HOUR // 2, 20 * HOUR, 36 * HOUR, 60 * HOUR, -5 * HOUR, -26 * HOUR])


def wanted(database: Database, desk: Renewals) -> None:
    """Agree on a renewal of each interval with a tenant of each zone; many begin on a 31st."""
    for place, zone in enumerate(ZONES):
        for unit, units in INTERVALS:
            due_at = BEGIN + (31 - place) * DAY + place * 5 * HOUR
            wish = asked(
                f"{zone}/{unit}{units}".replace("/", "-"),
                due_at,
                tenant_id=zone,
                amount=10,
                unit=unit,
                units=units,
                timezone=zone,
                grace_until=END + 99 * DAY,
                created_at=BEGIN,
            )
            desk.put(wish, create_tenant=True)
    bring(database, 10**9, *(zone for zone in ZONES if zone != POOR))


def bring(database: Database, amount: int, *tenant_ids: str) -> None:
    """Let money arrive, as everybody does."""
    with database.write() as tx:
        drafts = [adjustment(amount, tenant_id=tenant_id) for tenant_id in tenant_ids]
        renewals.settle(tx, ledger.post(tx, drafts, BEGIN), BEGIN)


def test_a_year_of_renewals_pays_every_period_exactly_once(database_url: str) -> None:
    clock, dice = FastClock(), random.Random(2011)
    databases = [Database(database_url) for _ in range(2)]
    replicas = [
        Replica(database, Renewals(database, clock.wrong_by(3 * number), TERMS))
        for number, database in enumerate(databases)
    ]
    wanted(databases[0], replicas[0].desk)
    going = steps(dice)
    with ThreadPoolExecutor() as pool:
        while clock.now < END:
            list(pool.map(lambda replica: replica.desk.run(lambda: False), replicas))
            if dice.random() < 0.1:
                bring(databases[1], dice.randrange(10, 300), POOR)
            clock.now += next(going)
    clock.now = END
    bring(databases[1], 10**9, POOR)
    assert replicas[0].desk.run(lambda: False)["renewal.payment_failed"] == 0
    check(databases[0])
    for database in databases:
        database.close()


def check(database: Database) -> None:
    assert problems(database) == []
    missed, twice = set[str](), set[str]()
    with database.read() as tx:
        every = [one for zone in ZONES for one in renewals.of_tenant(tx, zone)]
    assert {one.status for one in every} == {Status.ACTIVE}
    for zone in ZONES:
        keys = [one.idempotency_key for one in entries(database, zone) if one.amount < 0]
        today = to_datetime(END).astimezone(ZoneInfo(zone)).date()
        expected = {
            rules.key(one.reference, day.isoformat())
            for one in every
            if one.tenant_id == zone
            for day in days(first_day(one.asked_due_at, zone), today, one.unit, one.units)
        }
        twice |= {key for key in keys if keys.count(key) > 1}
        # Of today it depends on the hour.
        missed |= expected ^ {key for key in keys if not key.endswith(today.isoformat())}
    assert (missed, twice) == (set(), set())


def first_day(instant: Instant, zone: str) -> date:
    return to_datetime(instant).astimezone(ZoneInfo(zone)).date()


def days(first: date, end: date, unit: str, units: int) -> Iterator[date]:
    """Yield the days before `end` that a calendar on the wall shows for an interval."""
    for number in range((end - first).days):
        day = first + timedelta(days=number)
        months = (day.year - first.year) * 12 + day.month - first.month
        fits = day.day == min(first.day, calendar.monthrange(day.year, day.month)[1])
        if {
            Unit.DAY: number % units == 0,
            Unit.WEEK: number % (7 * units) == 0,
            Unit.MONTH: fits and months % units == 0,
            Unit.YEAR: fits and months % (12 * units) == 0,
        }[Unit(unit)]:
            yield day
