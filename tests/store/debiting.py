"""A process to be killed: posts debits through a Batcher and prints each acknowledged key.

Usage: python -m tests.store.debiting DATABASE_URL NAME. It ends by being killed.
"""

import os
import sys
import threading
from itertools import count

from bridge.store.batcher import Batcher
from bridge.store.database import Database
from tests.store.drafting import NOON, debit

CALLERS = 8
"""Threads that each wait for their debit before they ask for the next one."""


def ask(batcher: Batcher, name: str) -> None:
    for number in count(1):
        key = f"{name}-{number}"
        [outcome] = batcher.submit([debit(1, key=key)]).result()
        # One write of a short line is never torn, and nothing waits in a buffer when we die.
        os.write(1, f"{key} {outcome.status}\n".encode())


if __name__ == "__main__":
    batcher = Batcher(Database(sys.argv[1]), lambda: NOON)
    batcher.start()
    for caller in range(CALLERS):
        threading.Thread(target=ask, args=(batcher, f"{sys.argv[2]}-{caller}")).start()
