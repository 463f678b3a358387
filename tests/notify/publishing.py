"""A process to be killed: publishes what waits, and kills itself before its n-th statement.

Usage: python -m tests.notify.publishing DATABASE_URL N. It ends well where it got through.
"""

import os
import signal
import sys
from contextlib import closing
from itertools import count

from sqlalchemy import Engine, event

from bridge.domain.alert import Threshold
from bridge.domain.clock import DAY
from bridge.domain.event import EventType
from bridge.notify.balances import Rules
from bridge.notify.publish import Subscriber
from bridge.store.database import Database
from tests.examples import NOON
from tests.telling import published, publisher

CORE = Subscriber("core", frozenset(EventType))
RULES = Rules({"EUR": Threshold(500, next_renewal=True)}, Threshold(), DAY)


def kill_before(number: int) -> None:
    """Die at a statement; a COMMIT counts as one."""
    statements = count(1)

    def step(*_: object) -> None:
        if next(statements) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", step)
    event.listen(Engine, "commit", step)


if __name__ == "__main__":
    kill_before(int(sys.argv[2]))
    with closing(Database(sys.argv[1])) as database:
        # Until the database knows that a killed one is gone, his lock is in the way.
        while not published(database):
            publisher(database, lambda: NOON, CORE, rules=RULES).publish()
