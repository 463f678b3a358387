import pytest

from bench.checks import Books, SumCheckError
from bench.contenders import Audited
from bench.load import AMOUNT, UNIFORM, Load, Sample


class Contender:
    """Posts what it is told, answers what it is told."""

    name = "fake"

    def __init__(self) -> None:
        self.posted = 0
        self.next = (0, Sample(0, 1))

    def run(self, load: Load, clients: int, seconds: int) -> Sample:
        posted, sample = self.next
        self.posted += posted
        return sample

    def books(self) -> Books:
        return Books(self.posted, self.posted * AMOUNT, 0, 0, 0)

    def will(self, *, post: int, answer: int, in_flight_max: int = 4) -> None:
        self.next = (post, Sample(answer, 1, in_flight_max))


def test_a_run_is_checked_against_the_books_before_it() -> None:
    contender = Contender()
    audited = Audited(contender)
    for _ in range(2):
        contender.will(post=10, answer=10)
        assert audited.run(UNIFORM, 1, 1).debits == 10


def test_a_run_whose_books_lack_an_answered_debit_has_no_figure() -> None:
    contender = Contender()
    audited = Audited(contender)
    contender.will(post=9, answer=10)
    with pytest.raises(SumCheckError, match="fake, uniform, c=1"):
        audited.run(UNIFORM, 1, 1)


def test_what_a_run_left_in_flight_may_be_posted_during_the_next() -> None:
    contender = Contender()
    audited = Audited(contender)
    contender.will(post=10, answer=10)
    audited.run(UNIFORM, 1, 1)
    contender.will(post=18, answer=10)
    audited.run(UNIFORM, 1, 1)
    contender.will(post=15, answer=10)
    with pytest.raises(SumCheckError, match="15 entries"):
        audited.run(UNIFORM, 1, 1)
