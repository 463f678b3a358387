"""Renewals from the balance: agreed with the SaaS core, paid when they are due."""

import time
from collections import Counter
from collections.abc import Callable

import structlog

from bridge import metrics
from bridge.domain.clock import HOUR, Clock, Instant
from bridge.domain.entry import Outcome
from bridge.domain.errors import BridgeError
from bridge.domain.renewal import Renewal, Status, Terms, agreed, ended
from bridge.store import alerts, renewal_payments, renewals, reports
from bridge.store.database import Connection, Database
from bridge.store.renewal_payments import ByHand
from bridge.store.renewals import PUT_OFF

BATCH_MAX = 200
"""Renewals that share a commit, and so the longest that a debit of the API waits for them."""

BATCH_SQLITE_MAX = 50
"""The same on SQLite, where nobody else writes meanwhile."""

PAUSE_MAX_S = 0.5
"""How long the run waits between two batches at most. It waits as long as the batch took."""

WAIT = HOUR
"""How long a renewal is put off that could not be looked at."""

PUT_OFF_MAX = 10
"""Renewals that a run puts off before it ends: so many hardly fail by themselves."""

_log = structlog.get_logger()


class RenewalsFailingError(BridgeError):
    """Many renewals could not be looked at."""

    code = "renewals_failing"


class Renewals:
    """The renewals of all tenants. Its methods may be called from several threads."""

    def __init__(self, database: Database, clock: Clock, terms: Terms) -> None:
        self._database = database
        self._clock = clock
        self._terms = terms
        self._batch_max = BATCH_SQLITE_MAX if database.is_sqlite else BATCH_MAX

    def put(self, asked: Renewal, *, create_tenant: bool) -> tuple[Renewal, bool]:
        """Agree on a renewal, and return it as it stands; True where there was none.

        Asked for again it writes and locks nothing: settlements pass over what is locked. Raises
        TenantNotFoundError unless `create_tenant`, and what `agreed` does.
        """
        asked = asked._replace(**self._terms._asdict())
        now = self._clock()
        with self._database.read() as tx:
            before = renewals.get(tx, asked.tenant_id, asked.reference)
        if before is not None and agreed(before, asked, now) is before:
            return before, False
        with self._database.write() as tx:
            reports.require_tenant(tx, asked.tenant_id, now, create=create_tenant)
            before = renewals.get(tx, asked.tenant_id, asked.reference, lock=True)
            after = agreed(before, asked, now)
            if after.status == Status.OVERDUE:
                after = after._replace(look_at=now)  # a settlement may have passed over it
            _keep(tx, after, now)
        return after, before is None

    def end(self, reference: str, tenant_id: str = "") -> Renewal:
        """End a renewal, also one that has ended; its past is kept. Raises what `find` does."""
        with self._database.write() as tx:
            found = renewals.find(tx, reference, tenant_id)
            renewal = renewals.get(tx, found.tenant_id, reference, lock=True) or found
            if renewal.status == Status.ENDED:
                return renewal
            now = self._clock()
            over = ended(renewal, now)
            _keep(tx, over, now)
        return over

    def pay(self, asked: ByHand) -> tuple[Renewal, Outcome]:
        """Pay a period by hand, as `store.renewal_payments.pay` does."""
        with self._database.write() as tx:
            return renewal_payments.pay(tx, asked, self._clock())

    def run(self, stopping: Callable[[], bool]) -> Counter[str]:
        """Announce, debit and lapse whatever is due; returns how many, by event.

        Several processes may do so at once. What cannot be looked at is put off, and stops none of
        its neighbours. Raises RenewalsFailingError where PUT_OFF_MAX of them were.
        """
        counts: Counter[str] = Counter()
        size = self._batch_max
        while not stopping() and self._due():
            started = time.monotonic()
            try:
                became = self._batch(size)
            except Exception as error:
                if isinstance(error, BridgeError) or size == 1:
                    raise
                _log.warning("renewals failed", renewals=size, error=repr(error))
                size //= 2  # one bad row must not stop its neighbours
                continue
            if not became:
                break
            counts += became
            _check(counts)
            size = min(self._batch_max, 2 * size)
            time.sleep(min(PAUSE_MAX_S, time.monotonic() - started))
        return counts

    def _due(self) -> bool:
        with self._database.read() as tx:
            return renewals.due(tx, self._clock())

    def _batch(self, size: int) -> Counter[str]:
        with self._database.write() as tx:
            now = self._clock()
            if size == 1:
                became = renewals.renew_first(tx, now, now + WAIT)
            else:
                became = renewals.renew(tx, now, size)
        for outcome, number in became.items():
            metrics.renewals_total.labels(outcome.removeprefix("renewal.")).inc(number)
        return became


def _keep(tx: Connection, renewal: Renewal, now: Instant) -> None:
    renewals.put(tx, renewal)
    if renewal.look_at is None or renewal.look_at > now:
        # Another amount may be low now. What the run looks at next, its events say.
        alerts.touch(tx, renewal.tenant_id, now)


def _check(counts: Counter[str]) -> None:
    if counts[PUT_OFF] >= PUT_OFF_MAX:
        raise RenewalsFailingError(
            f"{PUT_OFF_MAX} renewals could not be looked at and are tried again in an hour; the log"
            " says why, and the next run goes on with the others"
        )
