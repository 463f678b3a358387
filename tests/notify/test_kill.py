"""kill -9 between every two steps of sending: nothing is lost, and repeats keep their ids."""

import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

from sqlalchemy import select

from bridge.domain.clock import HOUR, SECOND
from bridge.store import lanes
from bridge.store.database import Database
from tests.conftest import FakeClock
from tests.notify import delivering
from tests.notify.receiver import Receiver
from tests.notify.sending import endpoint, fact, publish, sender, work

ROOT = Path(__file__).parents[2]


def test_every_event_arrives_in_order_wherever_the_sender_is_killed(
    database: Database, clock: FakeClock, receiver: Receiver
) -> None:
    url = database.url.render_as_string(hide_password=False)
    published: list[str] = []
    for life in count(1):
        number = 2 * life
        events = publish(database, clock(), fact(number - 1), fact(number))
        published += [event.id for event in events]
        arguments = [url, receiver.url, str(clock()), str(life)]
        died = subprocess.run(
            [sys.executable, "-m", delivering.__name__, *arguments], cwd=ROOT, check=False
        ).returncode
        with database.write() as tx:  # the server may not have noticed yet, and keep a lock
            tx.execute(select(lanes.LANES).with_for_update())
        # What was claimed is free again when the claim has run out.
        clock.advance(HOUR / SECOND)
        work(sender(database, clock, endpoint(receiver)))
        assert list(dict.fromkeys(event["id"] for event in receiver.taken)) == published
        with database.read() as tx:
            assert lanes.standings(tx) == []
        if not died:
            break
        assert died == -signal.SIGKILL
    assert life > 9, "a claim, a look, two events and a record have so many steps"
    repeated = len(receiver.taken) - len(published)
    assert repeated == 1 + 1 + 2 + 2, "what was sent and not yet recorded, once more"
