"""Commands about events: what was told, what was given up, and telling it again."""

import re
from collections.abc import Iterator
from contextlib import closing

import pytest

from bridge.domain.clock import DAY, HOUR, SECOND, Instant, isoformat, utc_now
from bridge.store import attempts, events, lanes, outbox, renewals
from bridge.store.attempts import Attempt, DeadLetter
from bridge.sync import freshness
from bridge.wiring import Wiring
from tests.cli.terminal import Terminal
from tests.documented import check_documented
from tests.renewing import asked

ENDPOINTS = """
[[events.endpoints]]
name = "core"
url = "https://core.example.com/events"
secret_file = "core_secret"
types = ["wallet.*"]
[[events.endpoints]]
name = "holds"
url = "https://core.example.com/holds"
secret_file = "core_secret"
types = ["hold.*"]
"""
EMAIL = '[email]\nhost = "127.0.0.1"\ntls = "none"\nsender = "billing@example.com"\n'


@pytest.fixture
def wiring(terminal: Terminal) -> Iterator[Wiring]:
    """An installation with endpoints and letters, whose daemon does not run."""
    with terminal.installation.config.open("a") as config:
        config.write(ENDPOINTS + EMAIL)
    with closing(terminal.installation.wiring()) as wiring:
        yield wiring


@pytest.fixture
def told(wiring: Wiring, terminal: Terminal) -> list[str]:
    """The ids of three events of acme and globex, which wait for `core`."""
    why = ("--reason", "r", "--actor", "a")
    for tenant, amount in (("acme", "5000"), ("acme", "100"), ("globex", "750")):
        assert terminal.type("adjust", tenant, amount, "EUR", *why).status == 0
    publish = wiring.publisher().publish
    while publish():
        pass
    with wiring.database.read() as tx:
        return [event.id for event in events.after(tx, 0, 10)]


def deliver(wiring: Wiring) -> None:
    """Note that `core` took everything."""
    now = utc_now()
    with wiring.database.write() as tx:
        for lane in lanes.claim(tx, "core", now, now + SECOND, 10):
            lanes.advance(tx, lane, lane.latest, now)


def give_up(wiring: Wiring, seq: int) -> None:
    with wiring.database.write() as tx:
        attempts.bury(tx, DeadLetter("acme", "core", seq, utc_now(), "HTTP 500"))


def failed(at: Instant, because: str) -> Attempt:
    """A try to tell `core` of acme's first event, in vain."""
    return Attempt("acme", 1, "core", at, "refused", 12, because)


def behind(wiring: Wiring) -> dict[str, int]:
    with wiring.database.read() as tx:
        return {one.endpoint: one.behind for one in lanes.standings(tx)}


def test_events_are_listed_in_order_and_one_can_go_on_behind_any(
    terminal: Terminal, told: list[str]
) -> None:
    listed = terminal.type("events", "list")
    assert re.findall(r"evt_\d+_\d+", listed.out) == told
    for words in ("wallet.credited", "globex", "€7.50"):
        assert words in listed.out
    page = terminal.type("events", "list", "--limit", "2", "--json").json()
    assert [event["id"] for event in page["data"]] == told[:2]
    assert page["next_cursor"] == told[1]
    rest = terminal.type("events", "list", "--after", told[1], "--json").json()
    assert [event["id"] for event in rest["data"]] == told[2:]
    assert rest["next_cursor"] is None


def test_events_are_chosen_by_tenant_type_and_time(terminal: Terminal, told: list[str]) -> None:
    for options, count in (
        (["--tenant", "acme"], 2),
        (["--type", "wallet.*", "--type", "hold.*"], 3),
        (["--type", "hold.placed"], 0),
        (["--since", isoformat(utc_now() - HOUR)], 3),
        (["--since", isoformat(utc_now() + HOUR)], 0),
    ):
        page = terminal.type("events", "list", *options, "--json").json()
        assert len(page["data"]) == count, options
    assert told
    wrong = terminal.type("events", "list", "--type", "wallet.credit")
    assert wrong.status == 2
    assert "did you mean wallet.credited" in wrong.err
    assert terminal.type("events", "list", "--since", "yesterday").status == 2
    assert terminal.type("events", "list", "--after", "evt_9_9").status == 1


def test_what_was_given_up_is_listed_and_tried_once_more(
    terminal: Terminal, wiring: Wiring, told: list[str]
) -> None:
    assert terminal.type("events", "list", "--dead").out == "no dead letters\n"
    assert terminal.type("events", "list", "--dead", "--tenant", "acme").status == 2
    give_up(wiring, 1)
    give_up(wiring, 2)
    assert "HTTP 500" in terminal.type("events", "list", "--dead").out
    letters = terminal.type("events", "list", "--dead", "--json").json()["data"]
    assert [(one["event_id"], one["retry_at"]) for one in letters] == [
        (told[1], None),
        (told[0], None),
    ]
    assert (
        terminal.type("events", "retry", told[1]).out == "1 dead letters will be tried once more\n"
    )
    assert terminal.type("events", "retry", told[2]).status == 1
    assert terminal.type("events", "retry", "--endpoint", "holds", "--json").json() == {
        "retried": 0
    }
    unknown = terminal.type("events", "retry", "--endpoint", "moon")
    assert unknown.status == 1, "a slip of the pen is no success"
    assert "there are: core, holds, email:tenants" in unknown.err
    assert terminal.type("events", "retry", "--json").json() == {"retried": 2}
    with wiring.database.write() as tx:
        assert len(attempts.claim_dead(tx, "core", utc_now(), utc_now() + DAY, 10)) == 2


def test_a_replay_sets_the_lanes_of_endpoints_back_and_asks_nobody(
    terminal: Terminal, wiring: Wiring, told: list[str]
) -> None:
    deliver(wiring)
    assert behind(wiring) == {}
    said = terminal.type("events", "replay", "--since", told[1], "--json")
    assert said.json() == {"set_back": {"core": 2, "holds": 0}}
    assert behind(wiring) == {"core": 2}
    deliver(wiring)
    said = terminal.type("events", "replay", "--since", "2026-01-01", "--endpoint", "core")
    assert said.status == 0
    with wiring.database.read() as tx:
        now = utc_now()
        assert lanes.due(tx, "core", now)


def test_letters_are_written_again_only_where_asked_for(
    terminal: Terminal, wiring: Wiring, told: list[str]
) -> None:
    assert "email:tenants" in dict(wiring.subscribers)
    since = ("events", "replay", "--since", told[0], "--json")
    assert "email:tenants" not in terminal.type(*since).json()["set_back"]
    asked = terminal.type(*since, "--endpoint", "email:tenants").json()
    assert asked == {"set_back": {"email:tenants": 0}}
    unknown = terminal.type(*since, "--endpoint", "moon")
    assert unknown.status == 1
    assert "there are: core, holds, email:tenants" in unknown.err


def test_status_tells_of_what_was_given_up_what_fails_and_what_waits(
    terminal: Terminal, wiring: Wiring, told: list[str]
) -> None:
    terminal.type("poll")
    assert terminal.type("status").status == 0
    now = utc_now()
    with wiring.database.write() as tx:
        lane, _ = lanes.claim(tx, "core", now, now + SECOND, 10)
        lanes.rest(tx, lane, 0, now - 2 * HOUR, now + SECOND)
        attempts.add(tx, [failed(now - 2 * HOUR, "HTTP 500"), failed(now, "HTTP 502: no core")])
    give_up(wiring, 1)
    said = terminal.type("status", "--json")
    assert said.status == 1
    core, holds, tenants = said.json()["endpoints"]
    assert (core["name"], core["behind"], core["dead"]) == ("core", 2, 1)
    assert core["failing_since"] == isoformat(now - 2 * HOUR)
    assert core["concerns"][0] == f"failing since {core['failing_since']}: HTTP 502: no core"
    assert core["concerns"][1].startswith("1 events were given up")
    assert (holds["concerns"], tenants["concerns"]) == ([], [])
    assert (
        "core: 1 events were given up; see: bridge events list --dead"
        in terminal.type("status").out
    )
    terminal.installation.edit('name = "core"', 'name = "centre"')
    gone = terminal.type("status")
    assert (gone.status, "core (gone from the configuration)" in gone.out) == (0, True)
    assert told


def test_status_tells_when_nobody_publishes(terminal: Terminal, wiring: Wiring) -> None:
    terminal.type("poll")
    assert terminal.type("status").status == 0
    long_ago = utc_now() - HOUR
    with wiring.database.write() as tx:
        tx.execute(outbox.OUTBOX.insert().values(recorded_at=long_ago, content="[]"))
    said = terminal.type("status")
    assert said.status == 1
    assert "events wait since" in said.out
    assert terminal.type("status", "--json").json()["outbox"]["oldest"] == isoformat(long_ago)


def test_status_tells_when_nobody_renews(terminal: Terminal, wiring: Wiring) -> None:
    terminal.type("poll")
    wiring.renewals.put(asked("sub-1", utc_now() + HOUR), create_tenant=True)
    wiring.renewals.run(lambda: False)
    assert terminal.type("status").status == 0
    wiring.renewals.put(asked("sub-2", utc_now() - HOUR), create_tenant=True)
    said = terminal.type("status")
    assert said.status == 1
    assert "min late; is bridge running?" in said.out
    assert terminal.type("status", "--json").json()["renewals"]["late_since"] is not None
    wiring.renewals.run(lambda: False)
    assert "min late" not in terminal.type("status").out


def test_status_tells_of_renewals_that_were_put_off(terminal: Terminal, wiring: Wiring) -> None:
    terminal.type("poll")
    renewal, _ = wiring.renewals.put(asked("sub-1", utc_now() - HOUR), create_tenant=True)
    with wiring.database.write() as tx:
        renewals.put(tx, renewal._replace(timezone="Atlantis/Poseidonis"))
    assert wiring.renewals.run(lambda: False) == {"put_off": 1}
    said = terminal.type("status")
    assert said.status == 1
    assert "1 renewals could not be looked at, the first of them 'sub-1' of acme; tried" in said.out
    assert terminal.type("status", "--json").json()["renewals"]["put_off"] == 1
    with wiring.database.write() as tx:
        renewals.put(tx, renewal)
    wiring.renewals.run(lambda: False)
    assert terminal.type("status", "--json").json()["renewals"]["put_off"] == 0


def test_what_storefronts_bring_about_is_told_as_it_is_documented(
    terminal: Terminal, wiring: Wiring
) -> None:
    sandbox = terminal.sandbox
    order_id = sandbox.place_order("50.00", tenant="not a tenant")
    terminal.type("poll")
    sandbox.set_tags(order_id, "acme")
    assert terminal.type("reconcile").status == 0
    intervals_s = {"main": 30}
    freshness.look(wiring.context._replace(clock=lambda: utc_now() + HOUR), intervals_s)
    freshness.look(wiring.context, intervals_s)
    while wiring.publisher().publish():
        pass
    told = terminal.type("events", "list", "--json").json()["data"]
    assert {event["type"] for event in told} == {
        "order.held",
        "order.released",
        "reconciliation.drift_found",
        "wallet.credited",
        "storefront.stale",
        "storefront.recovered",
    }
    check_documented(told)
    [drift] = [event["data"] for event in told if event["type"] == "reconciliation.drift_found"]
    assert drift["amounts"] == {"EUR": 5000}
