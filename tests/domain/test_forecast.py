"""A forecast is what `decide` would do: its deposits carry exactly as far as it says."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from bridge.domain import renewal as rules
from bridge.domain.clock import DAY, MINUTE
from bridge.domain.entry import POSTED
from bridge.domain.forecast import COMING_MAX, Forecast, forecast
from bridge.domain.posting import decide
from bridge.domain.renewal import Renewal, Status, Unit, months_later
from bridge.domain.wallet import Wallet
from tests.examples import ACME, NOON, books
from tests.renewing import renewal

HALF_A_YEAR = months_later(NOON, 6)


def made(number: int, amount: int, keep_at_least: int, priority: int, days: int) -> Renewal:
    return renewal(
        f"sub-{number}",
        NOON + days * DAY,
        amount=amount,
        keep_at_least=keep_at_least,
        priority=priority,
    )


FEW = st.lists(
    st.tuples(st.integers(1, 50), st.integers(0, 60), st.integers(0, 3), st.integers(0, 3)),
    min_size=1,
    max_size=4,
).map(lambda rows: [made(number, *row) for number, row in enumerate(rows)])


def all_paid(balance: int, renewals: Sequence[Renewal], ahead: Forecast, number: int) -> bool:
    """Whether the first so many coming debits are all posted from this balance."""
    by_reference = {one.reference: one for one in renewals}
    after = books(Wallet(*ACME, balance=balance))
    for coming in ahead.coming[:number]:
        present = by_reference[coming.reference]
        assert present.period == coming.period
        [outcome], after = decide(after, [rules.draft(present)], coming.due_at)
        if outcome.status != POSTED:
            return False
        by_reference[coming.reference] = rules.paid(present, "acme.EUR.1", coming.due_at)
    return True


@given(st.integers(-20, 400), FEW)
def test_a_deposit_carries_exactly_to_the_debit_it_is_shown_at(
    available: int, renewals: list[Renewal]
) -> None:
    ahead = forecast(available, renewals, HALF_A_YEAR)
    for number, coming in enumerate(ahead.coming, start=1):
        assert all_paid(available + coming.deposit, renewals, ahead, number)
        if coming.deposit:
            assert not all_paid(available + coming.deposit - 1, renewals, ahead, number)


@given(st.integers(-20, 400), FEW)
def test_money_runs_out_with_the_first_debit_that_finds_too_little(
    available: int, renewals: list[Renewal]
) -> None:
    ahead = forecast(available, renewals, HALF_A_YEAR)
    number = next((n for n, one in enumerate(ahead.coming) if one.due_at == ahead.runs_out_at), 0)
    assert all_paid(available, renewals, ahead, number)
    assert all_paid(available, renewals, ahead, len(ahead.coming)) == (ahead.runs_out_at is None)


def test_half_a_year_is_prefunded_by_the_deposit_of_its_last_month() -> None:
    ahead = forecast(1000, [renewal(due_at=NOON + DAY)], HALF_A_YEAR)
    assert [one.deposit for one in ahead.coming] == [900, 2800, 4700, 6600, 8500, 10400]
    assert ahead.deposit_until(ahead.until) == 10400
    assert ahead.deposit_until(months_later(NOON, 2)) == 2800
    assert ahead.deposit_until(NOON) == 0


def test_what_falls_due_together_is_paid_by_priority() -> None:
    several = [renewal("a", priority=9), renewal("b", priority=1), renewal("c", priority=9)]
    ahead = forecast(0, several, NOON + DAY)
    assert [one.reference for one in ahead.coming] == ["b", "a", "c"]


def test_what_was_paid_ahead_is_not_debited_again() -> None:
    ahead = forecast(0, [renewal()], months_later(NOON, 2), {("sub-1", "2026-12-22")})
    assert [one.period for one in ahead.coming] == ["2026-11-22", "2027-01-22"]


def test_what_bridge_may_not_debit_is_left_out() -> None:
    others = [
        renewal("paused", auto_renew=0),
        renewal("dear", max_amount=1),
        renewal("lapsed")._replace(status=Status.LAPSED),
    ]
    assert forecast(0, others, HALF_A_YEAR) == Forecast(0, HALF_A_YEAR, [])


def test_a_forecast_with_very_many_debits_ends_early_and_says_so() -> None:
    daily = [renewal(str(n), NOON + n * MINUTE, unit=Unit.DAY) for n in range(10)]
    ahead = forecast(0, daily, months_later(NOON, 12))
    assert len(ahead.coming) == COMING_MAX
    assert ahead.until == ahead.coming[-1].due_at < months_later(NOON, 4)
