"""Renewals that fall due at once, on a small scale: all are paid or short, and that is checked."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bench import renewals
from bench.checks import SumCheckError
from bench.homes import Files
from bench.installation import prepare
from bench.load import Sample
from bench.renewals import Plan
from bridge.sandbox import Sandbox

PLAN = Plan(40, 1)


class Books(NamedTuple):
    """What the tables say to `check`."""

    paid: int = 32
    debited: int = 7
    states: tuple[Any, ...] = (("active", 32), ("overdue", 8))
    events: tuple[Any, ...] = (("renewal.paid", 32), ("renewal.payment_failed", 8))

    def rows(self, query: str) -> list[Any]:
        if "FROM entries" in query:
            return [[self.debited if "<>" in query else self.paid]]
        return list(self.events if "FROM events" in query else self.states)


def test_all_fall_due_are_paid_or_short_and_settled(tmp_path: Path) -> None:
    home = Files(tmp_path)
    with Sandbox() as sandbox:
        found = renewals.on(tmp_path, home, prepare(home), sandbox, PLAN)
    assert found.settled == PLAN.short == 8
    assert "32 paid, 8 short" in str(found)
    assert len(found.at_rest) == renewals.REST_WINDOWS


def test_every_renewal_is_of_another_tenant() -> None:
    names = list(PLAN.tenants())
    assert len(set(names)) == 40
    assert names[-1] == "tenant-0020"


def test_books_that_say_what_was_to_be_are_fine() -> None:
    renewals.check(Books().rows, PLAN, [Sample(7, 1.0)])


@pytest.mark.parametrize(
    ("books", "because"),
    [
        (Books(paid=33), "33 debits"),
        (Books(states=(("active", 31), ("overdue", 9))), "overdue"),
        (Books(events=(("renewal.paid", 32),)), "were told"),
        (Books(debited=6), "only 6 debits"),
    ],
)
def test_books_that_say_otherwise_end_the_bench(books: Books, because: str) -> None:
    with pytest.raises(SumCheckError, match=because):
        renewals.check(books.rows, PLAN, [Sample(7, 1.0)])
