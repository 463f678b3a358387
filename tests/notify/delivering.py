"""A process to be killed: sends what is due, and kills itself at the n-th step.

Usage: python -m tests.notify.delivering DATABASE_URL ENDPOINT_URL NOW N. A step is a commit, or the
moment before or after something is sent. It ends well where it got through.
"""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import closing
from itertools import count

from sqlalchemy import Engine, event

from bridge.domain.clock import Instant
from bridge.notify.http import HttpEndpoint
from bridge.notify.sender import Body, Sender, Sent
from bridge.notify.signing import read_secret
from bridge.store.database import Database
from tests.notify.receiver import SECRET
from tests.notify.sending import EVERY


def main(database_url: str, endpoint_url: str, now: Instant, number: int) -> None:
    steps = count(1)

    def step(*_: object) -> None:
        if next(steps) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    class Stepping(HttpEndpoint):
        def send(self, bodies: Sequence[Body], now: Instant) -> Sent:
            step()
            sent = super().send(bodies, now)
            step()
            return sent

    event.listen(Engine, "commit", step)
    target = Stepping("core", endpoint_url, (read_secret(SECRET),), EVERY, 10, allow_private=True)
    with closing(Database(database_url)) as database:
        while Sender(database, lambda: now, target).work():
            pass


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
