"""kill -9 at any moment: whatever was acknowledged is there, once, and the books are right."""

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from bridge.store.database import Database
from tests.store import debiting
from tests.store.drafting import (
    adjustment,
    balance,
    debit,
    entries,
    post,
    posted,
    problems,
    summary,
)

ROOT = Path(__file__).parents[2]

START = 1_000_000


def debited_until_killed(url: str, name: str, *, acknowledged_min: int, pause_s: float) -> set[str]:
    """Let a process post debits, kill it, and return the keys it was told were posted."""
    command = [sys.executable, "-m", debiting.__name__, url, name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout
    lines = [process.stdout.readline() for _ in range(acknowledged_min)]
    time.sleep(pause_s)
    process.kill()
    lines += process.stdout.readlines()
    process.stdout.close()
    process.wait()
    assert all(line.endswith(" posted\n") for line in lines), lines
    return {line.split()[0] for line in lines}


def check(database: Database, acknowledged: set[str]) -> None:
    keys = Counter(entry.idempotency_key for entry in entries(database)[1:])
    assert acknowledged <= set(keys), "an acknowledged debit is lost"
    assert set(keys.values()) == {1}, "a debit is there twice"
    assert balance(database) == START - len(keys)
    assert problems(database) == []


def test_a_killed_process_loses_nothing_and_doubles_nothing(database: Database) -> None:
    posted(database, adjustment(START))
    url = database.url.render_as_string(hide_password=False)
    acknowledged = debited_until_killed(url, "first", acknowledged_min=100, pause_s=0)
    check(database, acknowledged)
    retries = [debit(1, key=key) for key in sorted(acknowledged)]
    assert set(summary(post(database, *retries))) == {"replayed"}
    check(database, acknowledged)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_thirty_kills_at_random_moments_lose_nothing_and_double_nothing(
    database: Database,
) -> None:
    posted(database, adjustment(START))
    url = database.url.render_as_string(hide_password=False)
    dice = random.Random()
    acknowledged: set[str] = set()
    for number in range(30):
        acknowledged |= debited_until_killed(
            url, f"life-{number}", acknowledged_min=dice.randint(0, 50), pause_s=dice.random() / 2
        )
        retries = [
            debit(1, key=key)
            for key in dice.sample(sorted(acknowledged), min(100, len(acknowledged)))
        ]
        assert set(summary(post(database, *retries))) <= {"replayed"}
        check(database, acknowledged)
