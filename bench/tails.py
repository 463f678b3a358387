"""Tails: how long the slowest one in a hundred waits, at rest and while something runs beside."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import httpx

from bench.contenders import Audited, bridge
from bench.homes import Home
from bench.installation import STOREFRONT, Installation, serving
from bench.load import UNIFORM, Sample, Target
from bench.world import World, keep, progress
from bridge.sandbox import Sandbox, slow

CLIENTS = 32
CROWD = 1000
CROWD_S = 5
"""Connections at once that must not make it hang, and for how long."""

AT_REST = "at rest"
FIRST_IMPORT = "beside a first import"
RECONCILIATION = "beside a reconciliation"
BACKUP = "beside a backup"
IN_A_CROWD = f"{CROWD:,} connections"
SITUATIONS = (AT_REST, FIRST_IMPORT, RECONCILIATION, BACKUP)

_PAGE_S = 0.2
"""How long a storefront takes for 100 orders; a real one serves 130 to 480 a second."""

_POLL_S = 0.05
_RUN_TIMEOUT_S = 600.0
_SINCE = "2020-01-01T00:00:00Z"


def named(database: str, name: str) -> str:
    """Name the figures of a situation."""
    return f"tails {database} {name}"


def measure(world: World) -> None:
    """Run the situations in turn, on fresh installations beside a storefront with orders."""
    with Sandbox() as sandbox:
        progress(f"tails, placing {world.scale.orders_imported:,} orders")
        for number in range(world.scale.orders_imported):
            sandbox.place_order(tenant=f"shopper-{number % 1000}")
        for number in range(world.scale.tail_rounds):
            for home in world.homes:
                progress(f"tails, round {number + 1} of {world.scale.tail_rounds}, {home.version}")
                with world.installed(home, "tails", sandbox) as installation:
                    _round(world, installation, sandbox)


def _round(world: World, installation: Installation, sandbox: Sandbox) -> None:
    """Measure all situations, the import first, since it begins with the daemon."""
    home = installation.home
    # Else all would be imported before the run has begun.
    sandbox.faults.switch_on(slow(_PAGE_S))
    with serving(installation) as daemon:
        contender = bridge(installation, daemon)
        audited = Audited(contender)

        def run(name: str) -> None:
            sample = audited.run(UNIFORM, CLIENTS, world.scale.seconds)
            keep(world.figures, named(home.kind, name), sample)

        orders = _orders(installation)
        run(FIRST_IMPORT)
        sandbox.faults.switch_off()
        read = _orders(installation) - orders
        world.figures.add(f"{named(home.kind, FIRST_IMPORT)} times", read)
        _wait_until(lambda: _orders(installation) == world.scale.orders_imported)
        run(AT_REST)
        backup = world.directory / f"{home.kind}.backup"
        beside: dict[str, Callable[[], object]] = {
            RECONCILIATION: lambda: reconcile(contender.target),
            BACKUP: lambda: home.back_up(installation.database, backup),
        }
        for name, action in beside.items():
            with repeated(action) as done:
                run(name)
            world.figures.add(f"{named(home.kind, name)} times", len(done))
        crowd = Audited(contender._replace(statuses=True)).run(UNIFORM, CROWD, CROWD_S)
        _keep_crowd(world, home, crowd)


def _keep_crowd(world: World, home: Home, sample: Sample) -> None:
    name = named(home.kind, IN_A_CROWD)
    keep(world.figures, name, sample)
    world.figures.add(f"{name} busy", sample.statuses.get(503, 0))
    others = [count for status, count in sample.statuses.items() if status not in {201, 503}]
    world.figures.add(f"{name} wrong", sum(others) + sample.lost)


@contextlib.contextmanager
def repeated(action: Callable[[], object]) -> Iterator[list[object]]:
    """Do something over and over beside the block; yields what it has returned so far.

    What it raises comes out when the block ends.
    """
    done: list[object] = []
    errors: list[Exception] = []
    ended = threading.Event()

    def work() -> None:
        try:
            while not ended.is_set():
                done.append(action())
        except Exception as error:  # noqa: BLE001 - it is raised where it can be seen
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield done
    finally:
        ended.set()
        thread.join()
    for error in errors:
        raise error


def reconcile(target: Target) -> None:
    """Let the daemon compare all orders with the ledger, and wait until it has."""
    headers = {"Authorization": f"Bearer {target.token}"}
    with httpx.Client(base_url=f"http://{target.address}", headers=headers, timeout=60) as client:
        asked = client.post(
            "/v1/reconciliations", json={"storefront": STOREFRONT, "since": _SINCE}
        ).raise_for_status()
        place = asked.headers["Location"]
        _wait_until(lambda: client.get(place).json()["status"] != "running")
        run = client.get(place).json()
    if run["status"] != "done":
        raise RuntimeError(f"the reconciliation failed: {run['failure']}")


def _orders(installation: Installation) -> int:
    [[orders]] = installation.rows("SELECT count(*) FROM orders")
    return int(orders)


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _RUN_TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"a run took longer than {_RUN_TIMEOUT_S:g} seconds")
        time.sleep(_POLL_S)
