"""Events by API: a core that was away catches up, and sees what became of each."""

import pytest

from bridge.api.events import SCAN_MAX
from bridge.domain.event import EventType, Happened
from bridge.notify.publish import Subscriber
from bridge.store import attempts, events, lanes, outbox
from bridge.store.attempts import Attempt, DeadLetter
from bridge.store.outbox import Told
from tests.api.calling import Api, code, fields, publish

CORE = Subscriber("core", frozenset(EventType) - {EventType.WALLET_CREDITED})


def told(api: Api, **params: object) -> list[str]:
    """The types of a page, which is the last one."""
    page = api.get("/v1/events", **params).json()
    assert page["next_cursor"] is None
    return [event["type"] for event in page["data"]]


@pytest.fixture
def busy(money: Api) -> Api:
    """Two tenants have been credited and debited."""
    for tenant_id in ("acme", "globex"):
        money.fund(5000, tenant_id)
        assert money.debit(1900, tenant_id=tenant_id).status_code == 201
    publish(money, CORE)
    return money


def test_every_entry_is_an_event_with_the_entry_in_it(busy: Api) -> None:
    data = busy.get("/v1/events").json()["data"]
    assert [event["type"] for event in data] == ["wallet.credited", "wallet.debited"] * 2
    [entry, _] = busy.get("/v1/tenants/acme/entries").json()["data"]
    assert data[1]["data"] == entry
    assert (data[1]["tenant_id"], data[1]["timestamp"]) == ("acme", entry["recorded_at"])


def test_a_core_that_was_away_goes_on_behind_what_it_saw_last(busy: Api) -> None:
    first = busy.get("/v1/events", limit=3).json()
    assert first["next_cursor"] == first["data"][-1]["id"]
    rest = busy.get("/v1/events", after=first["next_cursor"]).json()
    assert [event["data"]["tenant_id"] for event in rest["data"]] == ["globex"]
    assert rest["next_cursor"] is None
    last = rest["data"][-1]["id"]
    assert busy.get("/v1/events", after=last).json() == {"data": [], "next_cursor": None}
    busy.debit(100, key="d2")
    publish(busy, CORE)
    [new] = busy.get("/v1/events", after=last).json()["data"]
    assert new["data"]["id"] == "acme.EUR.3"


def test_events_are_asked_for_by_tenant_and_by_type(busy: Api) -> None:
    [credited, debited] = busy.get("/v1/events", tenant_id="globex").json()["data"]
    assert {credited["tenant_id"], debited["tenant_id"]} == {"globex"}
    assert told(busy, types="wallet.debited") == ["wallet.debited"] * 2
    assert told(busy, types="hold.*,wallet.debited", tenant_id="acme") == ["wallet.debited"]
    assert told(busy, types="wallet.*", limit=4) == ["wallet.credited", "wallet.debited"] * 2
    assert told(busy, types="deposit.*") == []


def test_rare_types_are_looked_for_in_steps_that_end(api: Api) -> None:
    """A page may be empty and have a cursor; whoever follows it misses nothing."""
    held = [Happened(EventType.ORDER_HELD, "", api.clock(), {})] * (SCAN_MAX + 1)
    released = held[0]._replace(type=EventType.ORDER_RELEASED)
    with api.database.write() as tx:
        events.publish(tx, [Told(api.clock(), facts=[*held, released])], 0, api.clock())
        *_, last_seen, wanted = events.after(tx, 0, SCAN_MAX + 2)
    empty = api.get("/v1/events", types="order.released").json()
    assert (empty["data"], empty["next_cursor"]) == ([], last_seen.id)
    [found] = api.get("/v1/events", types="order.released", after=empty["next_cursor"]).json()[
        "data"
    ]
    assert found["id"] == wanted.id


def test_an_event_of_another_database_is_told_and_not_passed_over(busy: Api) -> None:
    """As it is after a backup was restored: the same number was published at another time."""
    [first, *_] = busy.get("/v1/events").json()["data"]
    number, _, moment = first["id"].removeprefix("evt_").partition("_")
    for foreign in (f"evt_{number}_{int(moment) + 1}", f"evt_999_{moment}", "evt_x", "17"):
        assert code(busy.get("/v1/events", after=foreign)) == (404, "event_not_found")
        assert code(busy.get(f"/v1/events/{foreign}")) == (404, "event_not_found")


def test_who_was_away_for_too_long_is_told_so(busy: Api) -> None:
    [first, second, *_] = busy.get("/v1/events").json()["data"]
    with busy.database.write() as tx:
        assert events.prune(tx, busy.clock() + 1, 2, 10) == 2
    assert code(busy.get("/v1/events", after=first["id"])) == (410, "events_pruned")
    assert len(busy.get("/v1/events", after=second["id"]).json()["data"]) == 2
    assert len(busy.get("/v1/events").json()["data"]) == 2


def test_an_event_shows_what_became_of_it(busy: Api) -> None:
    busy.services = busy.services._replace(subscribers=dict([CORE]))
    busy.serve(busy.services)
    credited, debited = busy.get("/v1/events", tenant_id="acme").json()["data"]
    now = busy.clock()
    tried = Attempt("acme", 2, "core", now, "refused", 12, "HTTP 500")
    with busy.database.write() as tx:
        attempts.add(tx, [tried])
    shown = busy.get(f"/v1/events/{debited['id']}").json()
    assert shown["lanes"] == [{"endpoint": "core", "state": "waiting"}]
    assert shown["attempts"] == [
        {
            "endpoint": "core",
            "attempted_at": "2026-11-22T12:00:00.000000Z",
            "outcome": "refused",
            "duration_ms": 12,
            "because": "HTTP 500",
        }
    ]
    assert shown["data"] == debited["data"]
    assert busy.get(f"/v1/events/{credited['id']}").json()["lanes"] == [], "it is not told of it"
    with busy.database.write() as tx:
        [lane] = [
            one for one in lanes.claim(tx, "core", now, now + 1, 9) if one.tenant_id == "acme"
        ]
        lanes.advance(tx, lane, 2, now)
    [state] = busy.get(f"/v1/events/{debited['id']}").json()["lanes"]
    assert state["state"] == "delivered"
    with busy.database.write() as tx:
        attempts.bury(tx, DeadLetter("acme", "core", 2, now, "HTTP 500"))
    [state] = busy.get(f"/v1/events/{debited['id']}").json()["lanes"]
    assert state["state"] == "dead"


def test_what_makes_no_sense_is_refused(api: Api) -> None:
    assert fields(api.get("/v1/events", types="wallet.debitted")) == ["types"]
    assert fields(api.get("/v1/events", types="")) == ["types"]
    assert fields(api.get("/v1/events", limit=201)) == ["limit"]
    assert fields(api.get("/v1/events", tenant_id="a b")) == ["tenant_id"]
    assert fields(api.get("/v1/events", cursor="x")) == ["cursor"]


def test_events_are_for_readers(api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.new_key('x', 'debit', 'deposit', 'admin')}"}
    for path in ("/v1/events", "/v1/events/evt_1_1"):
        assert code(api.call("GET", path, headers=headers)) == (403, "scope_missing")


def test_only_a_key_that_may_open_deposits_reads_links_that_do(depositing: Api) -> None:
    opened = depositing.post(
        "/v1/deposits", {"tenant_id": "acme", "amount": 500, "currency": "EUR"}, key="d1"
    ).json()
    links = {"pay_url": opened["pay_url"], "deposit_url": "https://billing.example.com/offer"}
    low = Happened(EventType.BALANCE_LOW, "acme", depositing.clock(), links | {"available": 3})
    with depositing.database.write() as tx:
        outbox.add(tx, [low])
    publish(depositing)

    def read(*scopes: str) -> list[dict[str, object]]:
        token = {"Authorization": f"Bearer {depositing.new_key('reader', *scopes)}"}
        page = depositing.call("GET", "/v1/events", headers=token).json()["data"]
        for event in page:
            one = depositing.call("GET", f"/v1/events/{event['id']}", headers=token).json()
            assert one["data"] == event["data"]
        return [event["data"] for event in page]

    [deposit, balance] = read("read", "deposit")
    assert (deposit["pay_url"], balance["deposit_url"]) == tuple(links.values())
    [without, nothing] = read("read", "debit", "admin")
    assert without == {name: value for name, value in deposit.items() if name != "pay_url"}
    assert nothing == {"available": 3}
