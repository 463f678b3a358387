"""A process whose children are killed in the middle of renewing.

Usage: python -m tests.billing.dying DATABASE_URL. For each line `TENANT STEP` it forks a child that
does `work` for the tenant and kills itself, as by kill -9, right before its step of that number: a
statement or a commit. It answers with a line: the signal that ended the child, 0 if none did.
"""

import os
import signal
import sys
from itertools import count

from sqlalchemy import Engine, event

from bridge.billing.renewals import Renewals
from bridge.store import ledger, renewals
from bridge.store.database import Database
from bridge.store.renewal_payments import ByHand
from tests.examples import NOON
from tests.renewing import TERMS
from tests.store.drafting import adjustment


def work(database: Database, tenant_id: str) -> None:
    """Renew, bring money that settles, and pay by hand; to be done again it does nothing."""
    desk = Renewals(database, lambda: NOON, TERMS)
    desk.run(lambda: False)
    with database.write() as tx:
        brought = ledger.post(tx, [adjustment(50, tenant_id=tenant_id, key="money")], NOON)
        renewals.settle(tx, brought, NOON)
    desk.pay(ByHand(tenant_id, "core", "key", f"{tenant_id}-by-hand"))


def die_before(step: int) -> None:
    """Kill this process before its step of that number, counted from 0."""
    steps = count()

    def note(*_: object) -> None:
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", note)
    event.listen(Engine, "commit", note)


def main(url: str) -> None:
    for line in sys.stdin:
        tenant_id, step = line.split()
        child = os.fork()
        if not child:
            die_before(int(step))
            work(Database(url), tenant_id)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        os.write(1, f"{-os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1])
