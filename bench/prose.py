"""What the report says in words, before and between its tables."""

from bench.load import AMOUNT, TENANTS

INTRODUCTION = f"""# Performance

Written by `make bench`, wholly: run it, and this file tells of your machine.

## How it is measured

- Everything runs on one machine at the same time: bridge, its database, the load generator, and
  the others in turn. The databases are durable ones, with the settings they are installed with
  (PostgreSQL: `fsync` and `synchronous_commit` on; SQLite: WAL, `synchronous=FULL`), and new for
  every round.
- **bridge** is `bridge run` with its default configuration: API keys, hash chain, log, metrics,
  polls. It is asked over HTTP with keep-alive, every debit with a new, time-ordered idempotency
  key, over c connections. "uniform" spreads debits of {AMOUNT} cents over {TENANTS:,} tenants,
  "hot" makes them all on one; a batch call has 100 debits, over 4 connections.
- **The ceiling** has no HTTP before it: one debit per commit, which is the insert of an idempotency
  key, the conditional update of the wallet and the insert of an entry. On PostgreSQL it is
  `pgbench` with prepared statements and one server-side function, on SQLite a bare loop.
- **The naive peer** (`bench/peer.py`) has the same routes behind FastAPI, uvicorn and a SQLModel
  session per request.
- **A ratio** is taken within a round, in which everybody has a turn of some seconds. The tables
  have the median over the rounds and, in brackets, the lowest and the highest. Absolute figures
  are only context.
- **After every run the books are summed up**: as many entries as debits were answered (and at most
  as many more as were in flight when the run ended), every balance the sum of its entries, none
  below zero, no key twice. A run that fails this ends the bench, and nothing is published. Once
  for each database `bridge verify` recomputes everything.
"""
DEBITS = "`refused` is how many requests of a run were answered otherwise, or not at all."
LOOKS = f"""\
How often a second a balance can be asked for, of {TENANTS:,} tenants: `GET
/v1/tenants/…/balances/EUR`. Each is read from the database, whoever wrote it last; after every run
some are compared with the ledger."""
TAILS = """\
Single debits, uniform, over {clients} connections, while something else goes on in the daemon or
beside it; the storefront that is read shares the cores. `times` is how often it was done during the
run or, for the import, how many orders were read. `503` and `wrong` are answers to the crowd."""
GROWTH = "A ledger of this size and an empty one, in turns."
CREDITING = """\
{orders:,} orders, from the JSON text of pages of {page_size} to what is committed, in one process;
in the end all of them are swept, which should change nothing but the record that it was done."""
COSTS = "Bytes of write-ahead log for each debit, and CPU seconds for a million."
SIZES = "Bytes kept for each debit, its indexes with it, and the resident size of the daemon."
SOAK = "The daemon's resident size under a steady load, after each minute."
