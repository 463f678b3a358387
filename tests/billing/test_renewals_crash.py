"""kill -9 between every two steps of renewing: what was begun is done once, or not at all."""

import contextlib
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from bridge.domain import renewal as rules
from bridge.domain.event import Happened
from bridge.store import outbox, renewals
from bridge.store.database import Database
from tests.billing import dying
from tests.examples import NOON
from tests.renewing import keep, renewal
from tests.store.drafting import adjustment, balance, entries, posted, problems

ROOT = Path(__file__).parents[2]

Killed = Callable[[str, int], bool]


@pytest.fixture
def killed(database_url: str) -> Iterator[Killed]:
    """Let a process work for a tenant and die before a step; False where it came to its end."""
    command = [sys.executable, "-m", dying.__name__, database_url]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as process:
        assert process.stdin
        assert process.stdout
        asked, answers = process.stdin, process.stdout

        def kill(tenant_id: str, step: int) -> bool:
            print(tenant_id, step, file=asked, flush=True)
            ended_by = int(answers.readline())
            assert ended_by in {0, signal.SIGKILL}, ended_by
            return ended_by == signal.SIGKILL

        yield kill


def begin(database: Database, tenant_id: str) -> None:
    """Let one renewal be due that is paid, one that is short, and one that is paid by hand."""
    posted(database, adjustment(100, tenant_id=tenant_id))
    keep(
        database,
        *(
            renewal(f"{tenant_id}-{name}", tenant_id=tenant_id, amount=amount, auto_renew=automatic)
            for name, amount, automatic in [("a", 60, 1), ("b", 60, 1), ("by-hand", 10, 0)]
        ),
    )


def taken(database: Database) -> list[Happened]:
    """What waits in the outbox about renewals; it is empty then."""
    with database.write() as tx:
        taken = outbox.take(tx, 1_000_000)
        outbox.drop(tx, taken.ids)
    return [fact for one in taken.told for fact in one.facts]


def wait_until_noticed(database: Database) -> None:
    """Wait until the server has given up what the killed process had begun; SQLite needs not."""
    deadline = time.monotonic() + 30
    while not database.is_sqlite and time.monotonic() < deadline:
        with database.read() as tx:
            if not tx.exec_driver_sql(OTHERS).scalar_one():
                return


OTHERS = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
   AND backend_type = 'client backend'
"""


def paid(database: Database, tenant_id: str) -> list[str]:
    """References of the renewals that were paid."""
    found = entries(database, tenant_id)
    return sorted(one.reference for one in found if one.caller == rules.CALLER)


def test_killed_before_any_step_everything_is_paid_and_told_once_when_it_is_done_again(
    database: Database, killed: Killed
) -> None:
    for step in count():
        tenant_id = f"t{step}"
        begin(database, tenant_id)
        died = killed(tenant_id, step)
        wait_until_noticed(database)
        told = taken(database)
        told_paid = sorted(fact.data["reference"] for fact in told if fact.type == "renewal.paid")
        assert told_paid == paid(database, tenant_id), "money moved without its event"
        dying.work(database, tenant_id)
        told += taken(database)
        kinds = Counter(fact.type.removeprefix("renewal.") for fact in told)
        assert kinds == {"paid": 3, "payment_failed": 1, "upcoming": 1}, step
        assert paid(database, tenant_id) == [
            f"{tenant_id}-{name}" for name in ("a", "b", "by-hand")
        ]
        assert balance(database, tenant_id) == 100 + 50 - 60 - 60 - 10
        if not died:
            break
    assert step > 20, "it had fewer steps than renewing has"
    assert problems(database) == []


RUN = """
import sys
from bridge.billing.renewals import Renewals
from bridge.store.database import Database
from tests.examples import NOON
from tests.renewing import TERMS
database = Database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
Renewals(database, lambda: NOON, TERMS).run(lambda: False)
"""


LIVES_MAX = 100
"""How often the replicas are killed. What is left then is not paid because of us."""

LIFE_S = 0.01
"""How much longer a life may last than the one before: also slow machines come to an end."""


@pytest.mark.long
@pytest.mark.timeout(600)
def test_two_replicas_killed_at_random_moments_pay_everything_once(
    database: Database, database_url: str
) -> None:
    posted(database, *(adjustment(50, tenant_id=f"t{number}") for number in range(40)))
    made = [
        renewal(f"sub-{number}", tenant_id=f"t{number % 50}", amount=1) for number in range(2500)
    ]
    keep(database, *made)
    dice, lives = random.Random(), 0
    while is_due(database) and lives < LIVES_MAX:
        lives += 1
        with contextlib.ExitStack() as stack:
            replicas = [stack.enter_context(replica(database_url)) for _ in range(2)]
            for one in replicas:
                begin_to_work(one)
            time.sleep(dice.random() * lives * LIFE_S)
            for one in dice.sample(replicas, 2):
                one.kill()
        wait_until_noticed(database)
    told = Counter(fact.type.removeprefix("renewal.") for fact in taken(database))
    assert told == {"paid": 2000, "payment_failed": 500}, f"{lives} lives: {standing(database)}"
    assert lives > 1
    assert [len(paid(database, f"t{number}")) for number in range(50)] == [50] * 40 + [0] * 10
    assert problems(database) == []


@contextlib.contextmanager
def replica(url: str) -> Iterator[subprocess.Popen[str]]:
    """A process that can run through what is due; it has nothing to say but what went wrong."""
    command, pipe = [sys.executable, "-c", RUN, url], subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        assert process.stdout.read() == ""


def begin_to_work(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    print(file=process.stdin, flush=True)


def is_due(database: Database) -> bool:
    with database.read() as tx:
        return renewals.due(tx, NOON)


def standing(database: Database) -> Counter[tuple[str, bool]]:
    """How many renewals there are, by status and by whether they are still to be looked at."""
    with database.read() as tx:
        found = [one for number in range(50) for one in renewals.of_tenant(tx, f"t{number}")]
    return Counter((one.status, one.look_at is not None and one.look_at <= NOON) for one in found)
