"""A balance that is looked up in the event loop is the one that the database has, whoever wrote."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import psycopg
import pytest

from bridge.domain.wallet import Wallet, WalletId
from bridge.store.balances import Balances
from bridge.store.database import Database
from bridge.store.pen import Pen
from bridge.store.pipe import Answer, Pipe
from tests.store.drafting import adjustment, posted

ACME, BETA, NOBODY = (WalletId(tenant_id, "EUR") for tenant_id in ("acme", "beta", "nobody"))
Look = Callable[..., list[int | None]]


class Counting(Database):
    """A database that counts the questions asked in an event loop, and can fail to answer."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.questions = 0
        self.away = False

    def pipe(self, statements: Mapping[str, str]) -> Pipe | None:
        whole = super().pipe(statements)
        return whole and CountingPipe(self, whole)

    def pen(self, *setup: str) -> Pen | None:
        whole = super().pen(*setup)
        return whole and CountingPen(self, whole)


class CountingPipe(Pipe):
    def __init__(self, database: Counting, whole: Pipe) -> None:
        vars(self).update(vars(whole))
        self._database = database

    def ask(self, name: str, parameters: Sequence[str | None], answer: Answer) -> None:
        self._database.questions += 1
        if self._database.away:
            answer(psycopg.OperationalError("away"))
        else:
            super().ask(name, parameters, answer)


class CountingPen(Pen):
    def __init__(self, database: Counting, whole: Pen) -> None:
        vars(self).update(vars(whole))
        self._database = database

    def read(self, query: str, *parameters: str) -> list[tuple[Any, ...]]:
        self._database.questions += 1
        if self._database.away:
            raise sqlite3.OperationalError("away")
        return super().read(query, *parameters)


async def opened(balances: Balances) -> None:
    while not balances.can_ask():  # noqa: ASYNC110 - it tells nobody when it can
        await asyncio.sleep(0.001)


def asked(balances: Balances, wallet_id: WalletId) -> asyncio.Future[Wallet | None]:
    answer: asyncio.Future[Wallet | None] = asyncio.get_running_loop().create_future()
    balances.ask(wallet_id, answer.set_result)
    return answer


@pytest.fixture
def counting(database_url: str) -> Iterator[Counting]:
    database = Counting(database_url)
    yield database
    database.close()


@pytest.fixture
def look(counting: Counting) -> Iterator[Look]:
    """Ask for wallets at one moment, and for others in the next; return balances, or None."""
    balances = Balances(counting)

    async def ask(*ids: WalletId, then: Sequence[WalletId] = ()) -> list[int | None]:
        await opened(balances)
        answers = [asked(balances, wallet_id) for wallet_id in ids]
        await asyncio.sleep(0)
        answers += [asked(balances, wallet_id) for wallet_id in then]
        found = await asyncio.gather(*answers)
        return [wallet and wallet.balance for wallet in found]

    async def close() -> None:
        balances.close()

    with asyncio.Runner() as runner:
        yield lambda *ids, **more: runner.run(ask(*ids, **more))
        runner.run(close())


def test_each_question_tells_what_is_committed_by_whomever(database: Database, look: Look) -> None:
    assert look(ACME) == [None]
    for n in (1, 2):
        posted(database, adjustment(5, key=f"a{n}"))
        assert look(ACME) == [5 * n]


def test_those_who_ask_at_one_moment_share_a_question(
    database: Database, counting: Counting, look: Look
) -> None:
    posted(database, adjustment(5), adjustment(7, tenant_id="beta"))
    assert look(BETA, NOBODY, ACME, BETA) == [7, None, 5, 7]
    assert counting.questions == 1


def test_those_who_ask_meanwhile_share_the_next_question(
    database: Database, counting: Counting, look: Look
) -> None:
    posted(database, adjustment(5), adjustment(7, tenant_id="beta"))
    assert look(ACME, then=[ACME, BETA]) == [5, 5, 7]
    assert counting.questions == 2


def test_somebody_who_does_not_take_his_answer_keeps_nobody_else_from_his(
    database: Database,
) -> None:
    posted(database, adjustment(5))
    balances = Balances(database)

    async def ask() -> Wallet | None:
        await opened(balances)
        balances.ask(ACME, list[object]().remove)
        found = await asked(balances, ACME)
        balances.close()
        return found

    found = asyncio.run(ask())
    assert found
    assert found.balance == 5


def test_a_question_that_fails_is_answered_with_nothing_and_the_next_is_asked_again(
    database: Database, counting: Counting, look: Look
) -> None:
    posted(database, adjustment(5))
    counting.away = True
    assert look(ACME, BETA) == [None, None]
    counting.away = False
    assert look(ACME, BETA) == [5, None]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_connection_that_was_lost_is_made_again(database: Database, look: Look) -> None:
    posted(database, adjustment(5))
    assert look(ACME) == [5]
    with database.write() as tx:
        tx.exec_driver_sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert look(ACME) in ([5], [None])
    assert look(ACME) == [5]
