"""The forecast of a wallet: what renewals will take, until when it lasts, what carries it on."""

from collections.abc import Collection, Iterable, Iterator
from heapq import merge
from itertools import islice
from typing import NamedTuple

from bridge.domain.clock import Instant
from bridge.domain.renewal import Renewal, coming

COMING_MAX = 1000
"""Coming debits that a forecast goes through."""


class Coming(NamedTuple):
    """A debit to come. `left` is what is then available, negative where it does not suffice.

    `deposit` is what must be deposited from now on for it and all before it, keep_at_least
    respected; 0 where nothing is.
    """

    due_at: Instant
    reference: str
    period: str
    amount: int
    left: int
    deposit: int


class Forecast(NamedTuple):
    """What comes up to a time. It ends early, at `until`, where COMING_MAX debits come before."""

    available: int
    until: Instant
    coming: list[Coming]

    @property
    def runs_out_at(self) -> Instant | None:
        """When the first debit finds too little; None where there is enough up to `until`."""
        return next((one.due_at for one in self.coming if one.deposit), None)

    def deposit_until(self, instant: Instant) -> int:
        """Return what must be deposited now to carry to a time; 0 where nothing must be."""
        return max((one.deposit for one in self.coming if one.due_at <= instant), default=0)


def forecast(
    available: int,
    renewals: Iterable[Renewal],
    until: Instant,
    paid: Collection[tuple[str, str]] = (),
) -> Forecast:
    """Go through the debits of a wallet's renewals, in the order they are made.

    `paid` are references and periods that were paid ahead. Renewals that bridge may not debit by
    itself are left out.
    """
    found = list(islice(_merged(renewals, until, paid), COMING_MAX))
    left, deposit, debits = available, 0, []
    for due_at, _, reference, period, renewal in found:
        left -= renewal.amount
        deposit = max(deposit, renewal.keep_at_least - left)
        debits.append(Coming(due_at, reference, period, renewal.amount, left, deposit))
    cut = len(debits) == COMING_MAX
    return Forecast(available, debits[-1].due_at if cut else until, debits)


_Due = tuple[Instant, int, str, str, Renewal]


def _merged(
    renewals: Iterable[Renewal], until: Instant, paid: Collection[tuple[str, str]]
) -> Iterator[_Due]:
    lines = (_line(renewal, until, paid) for renewal in renewals if renewal.refusal is None)
    return merge(*lines)


def _line(renewal: Renewal, until: Instant, paid: Collection[tuple[str, str]]) -> Iterator[_Due]:
    for due_at, period in coming(renewal, until):
        if (renewal.reference, period) not in paid:
            yield due_at, renewal.priority, renewal.reference, period, renewal
