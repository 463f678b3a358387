"""The sum check: what the books hold against what was answered. No rate without it."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from bench.load import AMOUNT, Sample

Rows = Callable[[str], Sequence[Sequence[Any]]]
"""Runs a query and returns its rows."""


STUCK_S = 30
"""Seconds without progress after which nothing is published any more."""

_PAUSE_S = 0.1


class SumCheckError(Exception):
    """The books do not hold what was answered: the run says nothing about speed."""


class Books(NamedTuple):
    """What a ledger adds up to: debits and their sum in minor units, and what may never be.

    The last two are bridge's alone: the others tell nobody of their entries.
    """

    debits: int
    debited: int
    wallets_differing: int
    wallets_negative: int
    keys_twice: int
    entries_untold: int = 0
    events_missing: int = 0


# Tables called `entries` and `wallets`, as all contenders have; the money in a wallet before the
# first debit is an entry, too.
_DEBITS = "SELECT count(*), -coalesce(sum(amount), 0) FROM entries WHERE amount < 0"
_DIFFERING = """
SELECT count(*) FROM wallets LEFT JOIN
  (SELECT tenant_id, sum(amount) AS total FROM entries GROUP BY tenant_id) AS sums
  ON sums.tenant_id = wallets.tenant_id
WHERE wallets.balance <> coalesce(sums.total, 0)
"""
_NEGATIVE = "SELECT count(*) FROM wallets WHERE balance < 0"
_TWICE = """
SELECT count(*) FROM
  (SELECT 1 FROM entries WHERE amount < 0 GROUP BY {key} HAVING count(*) > 1) AS twice
"""
_SOME = "SELECT tenant_id, balance FROM wallets ORDER BY tenant_id LIMIT 100"
_WAITING = "SELECT min(id) FROM outbox"
# Of each wallet the events have to follow one another, up to its last version.
_UNTOLD = """
SELECT coalesce(sum(abs(skipped)), 0) FROM
  (SELECT tenant_id, currency, version - size -
      lag(version, 1, 0) OVER (PARTITION BY tenant_id, currency ORDER BY version, seq) AS skipped
    FROM (SELECT tenant_id, currency, version, size, seq FROM events WHERE version > 0
      UNION ALL SELECT tenant_id, currency, version + 1, 1, 0 FROM wallets) AS told) AS steps
"""
_GAPS = "SELECT coalesce(max(seq), 0) - coalesce(sum(size), 0) FROM events"


def read(rows: Rows, key: str) -> Books:
    """Add up a ledger; `key` are the columns that make an idempotency key unique."""
    [[count, debited]] = rows(_DEBITS)
    [[differing]] = rows(_DIFFERING)
    [[negative]] = rows(_NEGATIVE)
    [[twice]] = rows(_TWICE.format(key=key))
    return Books(count, int(debited), differing, negative, twice)


def read_told(rows: Rows, key: str) -> Books:
    """Add up bridge's ledger, and what it told of its entries once all of them are published."""
    wait_until_told(rows)
    [[untold]] = rows(_UNTOLD)
    [[missing]] = rows(_GAPS)
    return read(rows, key)._replace(entries_untold=int(untold), events_missing=int(missing))


def wait_until_told(rows: Rows) -> None:
    """Wait until nothing is to be published; SumCheckError where that does not go on."""
    first, since = None, time.monotonic()
    while (waiting := rows(_WAITING)[0][0]) is not None:
        if waiting != first:
            first, since = waiting, time.monotonic()
        elif time.monotonic() - since > STUCK_S:
            raise SumCheckError(f"nothing was published for {STUCK_S} seconds")
        time.sleep(_PAUSE_S)


def debits(rows: Rows) -> int:
    """Count the debits of a ledger."""
    [[count, _]] = rows(_DEBITS)
    return int(count)


def require_told(rows: Rows, told: Callable[[str], int]) -> None:
    """Raise SumCheckError unless looks tell the balances of some wallets as the ledger has them."""
    for tenant_id, balance in rows(_SOME):
        if (found := told(tenant_id)) != balance:
            raise SumCheckError(f"{tenant_id} has {balance}, but was told {found}")


def problems(before: Books, after: Books, sample: Sample) -> list[str]:
    """Say what is wrong with the books after a run; nothing if all is well."""
    posted = after.debits - before.debits
    debited = after.debited - before.debited
    found = []
    if not sample.debits <= posted <= sample.debits + sample.in_flight_max:
        found.append(
            f"{sample.debits} debits were answered as posted (and up to {sample.in_flight_max} "
            f"not answered), but {posted} entries were made"
        )
    if debited != posted * AMOUNT:
        found.append(f"{posted} debits of {AMOUNT} add up to {debited}")
    if after.wallets_differing:
        found.append(f"{after.wallets_differing} balances are not the sum of their entries")
    if after.wallets_negative:
        found.append(f"{after.wallets_negative} balances are below zero")
    if after.keys_twice:
        found.append(f"{after.keys_twice} idempotency keys made more than one entry")
    if after.entries_untold:
        found.append(f"{after.entries_untold} entries are not exactly one event each")
    if after.events_missing:
        found.append(f"{after.events_missing} events are missing between the others")
    return found


def require(what: str, before: Books, after: Books, sample: Sample) -> None:
    """Raise SumCheckError where the books are wrong after a run."""
    if found := problems(before, after, sample):
        raise SumCheckError(f"{what}: {'; '.join(found)}")
