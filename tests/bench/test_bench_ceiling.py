import pytest

from bench import ceiling

SAID_BY_PGBENCH = """\
transaction type: pgbench.sql
scaling factor: 1
query mode: prepared
number of clients: 32
number of threads: 2
maximum number of tries: 1
duration: 2 s
number of transactions actually processed: 13448
number of failed transactions: 0 (0.000%)
latency average = 4.634 ms
initial connection time = 80.196 ms
tps = 6724.000000 (without initial connection time)
"""


def test_what_pgbench_committed_is_read_with_its_rate() -> None:
    sample = ceiling.parse(SAID_BY_PGBENCH)
    assert (sample.debits, sample.rate, sample.in_flight_max) == (13448, 6724, 0)


def test_a_pgbench_that_failed_has_no_rate() -> None:
    with pytest.raises(ValueError, match="did not say"):
        ceiling.parse("pgbench: error: connection failed")
