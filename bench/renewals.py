"""Renewals that all fall due at once, and the API beside them: `make bench-renewals`.

One in five finds too little. At rest and beside the run the API gets debits at the same pace, from
tenants whose own renewals are among those that are due.
"""

import argparse
import contextlib
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from bench import generator
from bench.checks import Rows, SumCheckError
from bench.homes import Home
from bench.installation import Installation, funds, installed, prepare, serving
from bench.load import CURRENCY, TENANTS, UNIFORM, Run, Sample, Target, tenant
from bench.postgres import cluster
from bench.processes import raise_file_limit
from bench.world import progress
from bridge import logs
from bridge.domain.clock import DAY, SECOND, Instant, utc_now
from bridge.domain.entry import EffectDraft
from bridge.domain.renewal import Renewal, Unit, agreed
from bridge.sandbox import Sandbox
from bridge.store import bulk, ledger, renewals
from bridge.store.database import Database

AMOUNT = 1900
"""What each renewal takes, in minor units; who is short has one less."""

SHORT_EVERY = 5
SETTLED_MAX = 1000
"""Short tenants who get a deposit in the end."""

ORDERS_MAX = 100
"""Orders in one database transaction, as in `sync.settle`."""

CLIENTS = 16
PAUSE_MS = 20
"""Each connection rests that long between two debits: the pace is set, not sought."""

REST_WINDOWS = 3
_BATCH = 5000
_POLL_S = 0.2
_PUBLISHED_WITHIN_S = 600.0


T = TypeVar("T")


class Plan(NamedTuple):
    """How many renewals, how long a window of load is, and how many daemons share the work."""

    renewals: int
    seconds: int
    daemons: int = 1

    @property
    def short(self) -> int:
        """How many find too little."""
        return self.renewals // SHORT_EVERY

    def tenants(self) -> Iterator[str]:
        """Yield one tenant a renewal: those who are short, others, and at last the load's own."""
        shared = min(TENANTS, self.renewals // 2)
        numbers = range(1, self.renewals - shared + 1)
        yield from (f"renewing-{number:06d}" for number in numbers)
        yield from (tenant(number) for number in range(1, shared + 1))


class Found(NamedTuple):
    """What was measured: seconds, and windows of load at rest and beside the run."""

    plan: Plan
    done_s: float
    at_rest: list[Sample]
    beside: list[Sample]
    settled: int
    settled_s: float

    def __str__(self) -> str:
        """Return it as lines for a reader."""
        short, paid = self.plan.short, self.plan.renewals - self.plan.short
        lines = [
            f"{self.plan.renewals:,} renewals due at once, {self.plan.daemons} daemon(s)",
            f"  {paid:,} paid, {short:,} short; every event told; `bridge verify` is clean",
            f"  done in {self.done_s:.1f} s, {self.plan.renewals / self.done_s:,.0f} renewals/s",
            f"  API at rest: {_told(self.at_rest)}",
            f"  API beside:  {_told(self.beside)}",
            f"  {self.settled:,} deposits settled what was overdue in {self.settled_s:.1f} s",
        ]
        return "\n".join(lines)


def _told(samples: Sequence[Sample]) -> str:
    rate = statistics.median(one.rate for one in samples)
    p50 = statistics.median(one.p50_ms for one in samples)
    p99 = statistics.median(one.p99_ms for one in samples)
    worst = max(one.p99_ms for one in samples)
    refused = sum(one.refused + one.lost for one in samples)
    return (
        f"{rate:,.0f} debits/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms "
        f"(worst of {len(samples)} windows {worst:.1f} ms), {refused} refused"
    )


def measure(installation: Installation, plan: Plan) -> Found:
    """Measure all of it; SumCheckError where the books or the events say something else."""
    with closing(Database(installation.home.url(installation.database))) as database:
        progress(f"funding {plan.renewals:,} tenants")
        _fund(database, plan)
        with _daemons(installation, plan.daemons) as target:
            run = Run(UNIFORM, CLIENTS, plan.seconds, PAUSE_MS)
            generator.drive(target, run)  # warms up
            progress("at rest")
            at_rest = [generator.drive(target, run) for _ in range(REST_WINDOWS)]
            progress(f"{plan.renewals:,} renewals fall due")
            began = _fall_due(database, plan)
            beside = _beside(database, target, run)
            progress("waiting until every event is published")
            _wait_until_published(installation)
        done_s = (_last_change(installation) - began) / SECOND
        check(installation.rows, plan, [*at_rest, *beside])
        progress("settling")
        settled = min(SETTLED_MAX, plan.short)
        settled_s = _settle(database, plan, settled)
    installation.verify()
    return Found(plan, done_s, at_rest, beside, settled, settled_s)


def _fund(database: Database, plan: Plan) -> None:
    """Give everybody enough but those who shall be short; the load's tenants have plenty."""
    now = utc_now()
    for part in _parts(enumerate(plan.tenants()), _BATCH):
        with database.write() as tx:
            drafts = [funds(name, AMOUNT - (n < plan.short), "renewals") for n, name in part]
            ledger.post(tx, drafts, now)


def _fall_due(database: Database, plan: Plan) -> Instant:
    """Write all renewals in one commit, due this minute; returns when that was."""
    now = utc_now()
    made = (agreed(None, _asked(name, now), now) for name in plan.tenants())
    with database.write() as tx:
        for part in _parts(made, _BATCH):
            bulk.insert(tx, renewals.RENEWALS, part)
    return utc_now()


def _asked(tenant_id: str, due_at: Instant) -> Renewal:
    return Renewal(
        tenant_id=tenant_id,
        reference=f"plan-of-{tenant_id}",
        amount=AMOUNT,
        currency=CURRENCY,
        unit=Unit.MONTH,
        units=1,
        timezone="Europe/Berlin",
        auto_renew=1,
        max_amount=None,
        keep_at_least=0,
        priority=100,
        retries="[24,72,168]",
        grace_until=None,
        notice=7 * DAY,
        grace=14 * DAY,
        description="Pro for a month",
        metadata='{"plan":"pro"}',
        asked_due_at=due_at,
        anchor=due_at,
        created_at=due_at,
    )


def _beside(database: Database, target: Target, run: Run) -> list[Sample]:
    """Send debits window by window until nothing is due; the last window may reach beyond."""
    samples: list[Sample] = []
    while not samples or _is_due(database):
        samples.append(generator.drive(target, run))
    return samples[:-1] or samples


def _is_due(database: Database) -> bool:
    with database.read() as tx:
        return renewals.due(tx, utc_now())


@contextlib.contextmanager
def _daemons(installation: Installation, number: int) -> Iterator[Target]:
    """Run daemons on one database; the first one takes the load."""
    with ExitStack() as stack:
        for place in range(number - 1, -1, -1):
            directory = installation.directory / f"daemon-{place}"
            shutil.copytree(installation.directory, directory, ignore=_others)
            daemon = stack.enter_context(serving(installation._replace(directory=directory)))
        yield Target(daemon.address, installation.token)


def _others(_directory: str, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith("daemon-")]


def _wait_until_published(installation: Installation) -> None:
    deadline = time.monotonic() + _PUBLISHED_WITHIN_S
    while installation.rows("SELECT 1 FROM outbox LIMIT 1"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"events waited longer than {_PUBLISHED_WITHIN_S:g} seconds")
        time.sleep(_POLL_S)


def _last_change(installation: Installation) -> Instant:
    [[last]] = installation.rows("SELECT max(changed_at) FROM renewals")
    return int(last)


_DEBITS = "SELECT count(*) FROM entries WHERE kind = 'debit' AND caller "
_STATES = "SELECT status, count(*) FROM renewals GROUP BY status ORDER BY status"
_EVENTS = (
    "SELECT type, count(*) FROM events"
    " WHERE type IN ('renewal.paid', 'renewal.payment_failed') GROUP BY type ORDER BY type"
)


def check(rows: Rows, plan: Plan, samples: Sequence[Sample]) -> None:
    """Raise SumCheckError unless each renewal was paid or failed once, and was told once."""
    [[paid]] = rows(f"{_DEBITS} = 'renewal'")
    [[debited]] = rows(f"{_DEBITS} <> 'renewal'")
    states = [tuple(row) for row in rows(_STATES)]
    events = [tuple(row) for row in rows(_EVENTS)]
    full = plan.renewals - plan.short
    if (paid, states) != (full, [("active", full), ("overdue", plan.short)]):
        raise SumCheckError(f"{paid} debits were made for {full} renewals, which are {states}")
    if events != [("renewal.paid", full), ("renewal.payment_failed", plan.short)]:
        raise SumCheckError(f"of {full} renewals paid and {plan.short} short {events} were told")
    if debited < sum(one.debits for one in samples):
        raise SumCheckError(f"only {debited} debits of the API are in the books")


def _settle(database: Database, plan: Plan, number: int) -> float:
    """Let a deposit come to so many who are short; returns how long that took, in seconds."""
    now = utc_now()
    names = islice(plan.tenants(), number)
    drafts = [
        EffectDraft(name, CURRENCY, "main", order_id, "deposit", AMOUNT, now, f"Order {order_id}")
        for order_id, name in enumerate(names, start=1)
    ]
    settled = 0
    began = time.perf_counter()
    for part in _parts(drafts, ORDERS_MAX):
        with database.write() as tx:
            settled += len(renewals.settle(tx, ledger.post(tx, part, now), now))
    took_s = time.perf_counter() - began
    if settled != number:
        raise SumCheckError(f"{number} deposits settled {settled} renewals")
    return took_s


def _parts(items: Iterable[T], size: int) -> Iterator[list[T]]:
    waiting = iter(items)
    while part := list(islice(waiting, size)):
        yield part


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 where a sum check failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.renewals", description=__doc__)
    parser.add_argument("--renewals", type=int, default=100_000, metavar="N")
    parser.add_argument("--seconds", type=int, default=10, help="how long a window of load is")
    parser.add_argument("--daemons", type=int, nargs="+", default=[1, 2], metavar="D")
    options = parser.parse_args(arguments)
    logs.configure(json=True, level="warning")
    raise_file_limit()
    try:
        with tempfile.TemporaryDirectory(prefix="bridge-bench-") as name:
            _measure_each(Path(name), options)
    except SumCheckError as error:
        print(f"a sum check failed, so nothing is published: {error}", file=sys.stderr)
        return 1
    return 0


def _measure_each(directory: Path, options: argparse.Namespace) -> None:
    with cluster(directory / "postgresql") as home, Sandbox() as sandbox:
        token = prepare(home)
        print(f"{home.version}; {generator.name()}")
        for number in options.daemons:
            plan = Plan(options.renewals, options.seconds, number)
            print(on(directory, home, token, sandbox, plan), flush=True)


def on(directory: Path, home: Home, token: str, sandbox: Sandbox, plan: Plan) -> Found:
    """Measure on a fresh installation."""
    with installed(directory, home, token, sandbox, "due") as installation:
        try:
            return measure(installation, plan)
        finally:
            shutil.rmtree(installation.directory)


if __name__ == "__main__":
    sys.exit(main())
