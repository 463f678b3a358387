"""Commands about renewals."""

from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from bridge.domain.clock import DAY, HOUR, Instant, to_datetime, utc_now
from tests.cli.terminal import Said, Terminal
from tests.renewing import asked

ADJUSTED = ("EUR", "--reason", "goodwill", "--actor", "kim")


def agree(
    terminal: Terminal, reference: str = "sub-1", due_at: Instant | None = None, **more: Any
) -> str:
    """Agree on 19.00 EUR every month, due an hour ago unless said otherwise; return the period."""
    due = utc_now() - HOUR if due_at is None else due_at
    terms = asked(reference, due, timezone="UTC", created_at=utc_now(), **more)
    with closing(terminal.installation.wiring()) as wiring:
        return wiring.renewals.put(terms, create_tenant=True)[0].period


def fund(terminal: Terminal, amount: int) -> None:
    assert terminal.type("adjust", "acme", str(amount), *ADJUSTED).status == 0


def balance(terminal: Terminal) -> int:
    [wallet] = terminal.type("balance", "acme", "--json").json()["balances"]
    return int(wallet["balance"])


def shown(terminal: Terminal, *words: str) -> Any:
    return terminal.type("renewals", "show", "sub-1", "--json", *words).json()


def test_renewals_are_listed_and_shown_for_people_and_for_programs(terminal: Terminal) -> None:
    agree(terminal, "sub-2", currency="USD")
    period = agree(terminal)
    listed = terminal.type("renewals", "list", "acme")
    assert listed.out.index("sub-1") < listed.out.index("sub-2")
    assert "€19.00" in listed.out
    assert period in listed.out
    data = terminal.type("renewals", "list", "acme", "--json").json()["data"]
    assert [one["reference"] for one in data] == ["sub-1", "sub-2"]
    assert shown(terminal) == data[0]
    assert "active" in terminal.type("renewals", "show", "sub-1").out


def test_what_is_due_is_renewed_and_counted(terminal: Terminal) -> None:
    assert terminal.type("renew").out == "nothing is due\n"
    fund(terminal, 2000)
    agree(terminal)
    agree(terminal, "sub-2", priority=200)
    said = terminal.type("renew")
    assert (said.status, said.out) == (0, "1 paid, 1 payment_failed\n")
    assert balance(terminal) == 100
    assert terminal.type("renew", "--json").json() == {}
    assert shown(terminal)["status"] == "active"


def test_a_period_is_paid_by_hand_once_for_each_key(terminal: Terminal) -> None:
    fund(terminal, 5000)
    period = agree(terminal, keep_at_least=5000)
    first = terminal.type("renewals", "pay", "sub-1", "--period", period, "--key", "ticket-7")
    assert (first.status, first.out[:29]) == (0, "is paid by acme.EUR.2; next d")
    again = terminal.type("renewals", "pay", "sub-1", "--key", "ticket-7", "--json").json()
    assert again["entry"]["id"] == "acme.EUR.2"
    assert again["renewal"]["reference"] == "sub-1"
    named = terminal.type("renewals", "pay", "sub-1", "--period", period)
    assert named.out.startswith("was paid before by acme.EUR.2")
    assert balance(terminal) == 3100
    assert terminal.type("renewals", "pay", "sub-1").out.startswith("is paid by acme.EUR.3")


def test_what_cannot_be_paid_is_told_on_one_line(terminal: Terminal) -> None:
    fund(terminal, 1000)
    agree(terminal)

    def refused(*words: str) -> Said:
        said = terminal.type("renewals", *words)
        assert (said.status, said.out, said.err.count("\n")) == (1, "", 1)
        return said

    short = refused("pay", "sub-1")
    assert "nothing was paid (insufficient_balance)" in short.err
    assert "9.00 EUR" in short.err
    assert "is not the one to be paid" in refused("pay", "sub-1", "--period", "2020-01-01").err
    assert "no renewal 'none'" in refused("show", "none").err
    assert "no tenant 'nobody'" in refused("list", "nobody").err
    agree(terminal, tenant_id="beta")
    for words in (("show", "sub-1"), ("pay", "sub-1"), ("end", "sub-1")):
        assert "several tenants have a renewal 'sub-1'" in refused(*words).err
    assert shown(terminal, "--tenant", "beta")["tenant_id"] == "beta"


def test_a_renewal_that_ended_is_kept_and_never_due(terminal: Terminal) -> None:
    fund(terminal, 5000)
    agree(terminal)
    for _ in range(2):
        assert terminal.type("renewals", "end", "sub-1", "--json").json()["status"] == "ended"
    assert "ended" in terminal.type("renewals", "end", "sub-1").out
    assert terminal.type("renew").out == "nothing is due\n"
    assert balance(terminal) == 5000


def test_the_forecast_says_until_when_it_lasts_and_what_carries_on(terminal: Terminal) -> None:
    fund(terminal, 5000)
    agree(terminal, due_at=utc_now() + 3 * DAY, unit="week")
    said = terminal.type("forecast", "acme", "--months", "2")
    assert "too little from" in said.out
    assert "-€7.00" in said.out
    data = terminal.type("forecast", "acme", "--months", "2", "--json").json()["data"][0]
    assert (data["available"], data["coming"][2]["deposit"]) == (5000, 700)
    day = f"{to_datetime(utc_now()) + timedelta(days=18):%Y-%m-%d}"
    carried = terminal.type("forecast", "acme", "--to", day)
    assert "EUR: deposit €7.00 to carry to" in carried.out
    json = terminal.type("forecast", "acme", "--to", day, "--json").json()["data"][0]
    assert json["deposit_to_carry"] == 700


def test_a_forecast_without_renewals_says_that_too(terminal: Terminal) -> None:
    fund(terminal, 5000)
    said = terminal.type("forecast", "acme")
    assert "EUR: nothing is due until" in said.out
    assert "EUR: €50.00 available, enough until" in said.out


@pytest.mark.parametrize("day", ["soon", "2020-01-01", "2999-01-01"])
def test_a_forecast_reaches_from_now_on_to_where_it_looks(terminal: Terminal, day: str) -> None:
    fund(terminal, 100)
    said = terminal.type("forecast", "acme", "--to", day)
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("error: --to")
