"""The two doors to the database: what comes through, and what is said where nothing does."""

import contextlib
import resource
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from bridge.domain.entry import Draft
from bridge.domain.errors import ConfigurationError, UnavailableError
from bridge.store import database as databases
from bridge.store import ledger
from bridge.store.database import Database, DiskFullError
from tests.store.drafting import (
    NOON,
    adjustment,
    balance,
    debit,
    entries,
    post,
    posted,
    problems,
    summary,
)

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def hasty(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database whose writers give up after a second."""
    monkeypatch.setattr(databases, "LOCK_WAIT_S", 1)
    database = Database(database_url)
    yield database
    database.close()


def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    posted(database, adjustment(100))
    with contextlib.suppress(ZeroDivisionError), database.write() as tx:
        ledger.post(tx, [debit(30)], NOON)
        raise ZeroDivisionError
    assert balance(database) == 100


def test_a_reader_does_not_see_what_is_not_committed(database: Database) -> None:
    with database.write() as tx:
        ledger.post(tx, [adjustment(100)], NOON)
        with database.read() as other:
            assert other.execute(text("SELECT count(*) FROM entries")).scalar_one() == 0


@POSTGRESQL
def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError, match="read-only"), database.read() as tx:
        ledger.post(tx, [adjustment(100)], NOON)


def test_ping_answers(database: Database) -> None:
    database.ping()


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("nonsense", "not an SQLAlchemy URL"),
        ("mysql://host/name", "use sqlite:///… or postgresql://…"),
        ("postgresql+asyncpg://host/name", "use sqlite:///… or postgresql://…"),
        ("sqlite://", "keeps money on disk only"),
        ("sqlite:///:memory:", "keeps money on disk only"),
    ],
)
def test_a_wrong_url_is_a_configuration_error_that_says_what_is_right(
    url: str, advice: str
) -> None:
    with pytest.raises(ConfigurationError, match=advice):
        Database(url)


def test_a_wrong_url_is_not_repeated_since_it_may_hold_a_password() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Database("mysql://someone:hunter2@host/name")
    assert "hunter2" not in str(caught.value)


def test_a_server_that_is_not_there_is_unavailable_and_the_message_says_what_to_check() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/name")
    with pytest.raises(UnavailableError, match=r"check that it runs and that \[database\] url"):
        database.ping()


def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'nowhere' / 'bridge.db'}")
    with pytest.raises(UnavailableError, match="unable to open database file"):
        database.ping()


def test_a_file_that_is_no_database_is_a_configuration_error(tmp_path: Path) -> None:
    path = tmp_path / "bridge.db"
    path.write_bytes(b"something else entirely" * 100)
    with pytest.raises(ConfigurationError, match="not a database; name another file"):
        Database(f"sqlite:///{path}").ping()


def test_a_writer_that_waits_too_long_for_another_process_gives_up(
    hasty: Database, database_url: str
) -> None:
    posted(hasty, adjustment(100))
    other = Database(database_url)
    with other.write() as tx:
        ledger.post(tx, [debit(1)], NOON)
        with pytest.raises(UnavailableError, match="another process writes for long, try again"):
            post(hasty, debit(1))
    other.close()
    assert summary(post(hasty, debit(1))) == ["posted"]


@SQLITE
def test_a_writer_that_waits_too_long_for_another_thread_gives_up(hasty: Database) -> None:
    let_go, written = threading.Event(), threading.Event()

    def write_for_long() -> None:
        with hasty.write():
            written.set()
            let_go.wait(30)

    other = threading.Thread(target=write_for_long)
    other.start()
    assert written.wait(30)
    with pytest.raises(UnavailableError, match="other threads wrote to the database for 1 sec"):
        post(hasty, adjustment(1))
    let_go.set()
    other.join()
    assert summary(post(hasty, adjustment(1))) == ["posted"]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_server_that_takes_no_writes_is_unavailable_and_its_connections_are_given_up(
    database: Database, database_url: str
) -> None:
    """As a standby that was the primary before; the sessions of `database` are older than that."""
    posted(database, adjustment(100))
    change = f"ALTER DATABASE {database.url.database} SET default_transaction_read_only ="
    with database.write() as tx:
        tx.exec_driver_sql(f"{change} on")
    demoted = Database(database_url)
    with pytest.raises(UnavailableError, match="read-only"):
        post(demoted, debit(1))
    with database.write() as tx:
        tx.exec_driver_sql(f"{change} off")
    assert summary(post(demoted, debit(1))) == ["posted"]
    demoted.close()


@SQLITE
def test_sqlite_writes_ahead_and_flushes_at_every_commit(database: Database) -> None:
    for door in (database.read, database.write):
        with door() as tx:
            assert tx.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
            assert tx.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2, "FULL"


@SQLITE
def test_a_full_disk_is_unavailable_with_advice_and_nothing_is_half_written(
    database: Database,
) -> None:
    """The writer's only connection may not let the file grow any more, as a full disk would not."""
    posted(database, adjustment(1_000_000))
    limit = "PRAGMA max_page_count = "
    with database.write() as tx:
        pages = tx.exec_driver_sql("PRAGMA page_count").scalar_one()
        tx.exec_driver_sql(f"{limit}{pages + 20}")
    batches = [
        [debit(1, key=f"{number}-{n}", description="x" * 500) for n in range(20)]
        for number in range(50)
    ]
    filling = iter(batches)
    with pytest.raises(UnavailableError, match="free some space on its disk, nothing was lost"):
        post_all(database, filling)
    done = len(entries(database))
    assert done > 1, "the disk should have filled up on the way"
    assert (done - 1) % 20 == 0, "a batch stands or falls as a whole"
    assert balance(database) == 1_000_000 - (done - 1)
    assert problems(database) == []
    with pytest.raises(UnavailableError, match="free some space"):
        database.ping()
    with database.write() as tx:
        tx.exec_driver_sql(f"{limit}{pages + 10_000}")
    database.ping()
    refused = batches[(done - 1) // 20]
    assert summary(post(database, *refused)) == ["posted"] * 20
    assert problems(database) == []


def test_a_disk_that_was_full_is_tried_again_though_nobody_writes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody may be able to, where a load balancer sends no more requests."""
    monkeypatch.setattr(databases, "FULL_S", 0)
    with pytest.raises(DiskFullError), database.write():
        raise OperationalError("", {}, Exception("could not extend file: No space left on device"))
    database.ping()


def post_all(database: Database, batches: Iterator[list[Draft]]) -> None:
    for drafts in batches:
        posted(database, *drafts)


@SQLITE
def test_a_checkpoint_that_finds_the_disk_full_says_so_and_loses_nothing(
    database: Database,
) -> None:
    posted(database, adjustment(100))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        with pytest.raises(UnavailableError, match="no checkpoint"):
            database.checkpoint()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    database.checkpoint()
    assert balance(database) == 100
    assert problems(database) == []


@SQLITE
def test_the_file_is_whole_for_other_tools_too(database: Database) -> None:
    posted(database, adjustment(100))
    with sqlite3.connect(str(database.url.database)) as tool:
        assert tool.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    tool.close()
