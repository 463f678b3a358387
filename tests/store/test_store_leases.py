"""Leases: one holder at a time, and a dead one blocks nobody for long."""

from typing import Protocol

import pytest

from bridge.domain.errors import LeaseHeldError
from bridge.store.database import Database
from bridge.store.leases import Leases


class HandMoved(Protocol):
    """The `clock` fixture."""

    def __call__(self) -> int: ...

    def advance(self, seconds: float) -> None: ...


@pytest.fixture
def daemon(database: Database, clock: HandMoved) -> Leases:
    return Leases(database, clock, "daemon")


@pytest.fixture
def cli(database: Database, clock: HandMoved) -> Leases:
    return Leases(database, clock, "cli")


def test_a_lease_keeps_others_out_until_it_is_released(daemon: Leases, cli: Leases) -> None:
    with daemon.held("poll:main", 60):
        with pytest.raises(LeaseHeldError, match="another process holds the lease 'poll:main'"):
            cli.take("poll:main", 60)
        cli.take("poll:other", 60)
    cli.take("poll:main", 60)


def test_a_lease_is_released_when_the_block_raises(daemon: Leases, cli: Leases) -> None:
    with pytest.raises(ZeroDivisionError), daemon.held("poll:main", 60):
        raise ZeroDivisionError
    cli.take("poll:main", 60)


def test_a_lease_expires_on_time_and_not_before(
    daemon: Leases, cli: Leases, clock: HandMoved
) -> None:
    daemon.take("poll:main", 60)
    clock.advance(59.999999)
    with pytest.raises(LeaseHeldError):
        cli.take("poll:main", 60)
    clock.advance(0.000001)
    cli.take("poll:main", 60)
    with pytest.raises(LeaseHeldError):
        daemon.take("poll:main", 60)


def test_a_holder_renews_its_lease(daemon: Leases, cli: Leases, clock: HandMoved) -> None:
    daemon.take("poll:main", 60)
    clock.advance(50)
    daemon.take("poll:main", 60)
    clock.advance(50)
    with pytest.raises(LeaseHeldError):
        cli.take("poll:main", 60)


def test_a_lease_is_not_written_anew_before_a_third_of_its_time_is_over(
    daemon: Leases, cli: Leases, clock: HandMoved
) -> None:
    daemon.take("poll:main", 60)
    clock.advance(19)
    daemon.renew("poll:main", 60)
    clock.advance(41)
    cli.take("poll:main", 60)
    with pytest.raises(LeaseHeldError):
        daemon.renew("poll:main", 60)


def test_a_lease_is_written_anew_when_a_third_of_its_time_is_over(
    daemon: Leases, cli: Leases, clock: HandMoved
) -> None:
    daemon.take("poll:main", 60)
    clock.advance(20)
    daemon.renew("poll:main", 60)
    clock.advance(59)
    with pytest.raises(LeaseHeldError):
        cli.take("poll:main", 60)


def test_only_its_holder_releases_a_lease(daemon: Leases, cli: Leases, clock: HandMoved) -> None:
    daemon.take("poll:main", 60)
    cli.release("poll:main")
    with pytest.raises(LeaseHeldError):
        cli.take("poll:main", 60)
    clock.advance(60)
    cli.take("poll:main", 60)
    daemon.release("poll:main")
    with pytest.raises(LeaseHeldError):
        daemon.take("poll:main", 60)


def test_releasing_what_nobody_holds_is_nothing(daemon: Leases) -> None:
    daemon.release("poll:main")


def test_two_threads_of_one_holder_do_not_share_a_lease(daemon: Leases) -> None:
    with daemon.held("reconcile:main", 60):
        with (
            pytest.raises(LeaseHeldError, match="another run of this process"),
            daemon.held("reconcile:main", 60),
        ):
            raise AssertionError
        daemon.take("reconcile:main", 60)
    with daemon.held("reconcile:main", 60):
        pass


def test_a_holder_that_was_killed_takes_its_leases_over_when_it_is_started_again(
    daemon: Leases, database: Database, clock: HandMoved
) -> None:
    daemon.take("poll:main", 60)
    with Leases(database, clock, "daemon").held("poll:main", 60):
        pass
