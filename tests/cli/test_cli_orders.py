"""Commands about orders: what they post, what they print, and how they end."""

from contextlib import closing

from bridge.domain.clock import utc_now
from bridge.sandbox import UNAUTHORIZED, Sandbox
from bridge.store.leases import Leases
from tests.cli.terminal import Terminal


def test_a_poll_credits_what_changed_and_says_how_much(terminal: Terminal) -> None:
    terminal.sandbox.place_order("50.00")
    first = terminal.type("poll", "--json")
    assert first.status == 0
    assert first.json()["data"] == [{"storefront": "main", "counts": {"credited": 1}, "error": ""}]
    assert terminal.type("poll").out == "main: 1 unchanged\n"


def test_a_poll_that_another_process_does_is_worth_another_try(terminal: Terminal) -> None:
    with closing(terminal.installation.wiring()) as wiring:
        Leases(wiring.database, utc_now, "the daemon").take("poll:main", 60)
    said = terminal.type("poll", "--storefront", "main")
    assert said.status == 75
    assert "error: another process holds the lease" in said.err


def test_a_storefront_that_refuses_ends_with_its_status_and_its_advice(terminal: Terminal) -> None:
    terminal.sandbox.faults.switch_on(UNAUTHORIZED)
    said = terminal.type("poll")
    assert (said.status, said.out) == (78, "")
    assert said.err.startswith("error: storefront main: it does not know the consumer key")


def test_a_dry_run_finds_drift_and_posts_nothing_and_a_real_one_repairs_it(
    terminal: Terminal,
) -> None:
    order_id = terminal.sandbox.place_order("50.00")
    dry = terminal.type("reconcile", "--dry-run", "--json")
    assert dry.status == 3
    [finding] = dry.json()["data"][0]["findings"]
    assert (finding["kind"], finding["order_id"], finding["drift"]) == (
        "paid_not_credited",
        order_id,
        5000,
    )
    assert terminal.type("balance", "acme").status == 1, "acme does not exist yet"
    wet = terminal.type("reconcile", "--storefront", "main")
    assert wet.status == 0
    assert "paid_not_credited" in wet.out
    assert terminal.type("reconcile", "--dry-run").status == 0
    assert terminal.type("balance", "acme", "--json").json()["balances"][0]["balance"] == 5000


def test_one_order_can_be_reconciled_and_a_window_named(terminal: Terminal) -> None:
    first, second = terminal.sandbox.place_order("50.00"), terminal.sandbox.place_order("7.00")
    assert terminal.type("reconcile", "--order", str(second)).status == 0
    assert terminal.type("balance", "acme", "--json").json()["balances"][0]["balance"] == 700
    long_ago = ("--since", "2020-01-01", "--until", "2020-02-01T00:00:00Z")
    assert terminal.type("reconcile", "--dry-run", *long_ago).status == 0
    assert terminal.type("reconcile", "--order", str(first), "--dry-run").status == 3


def test_times_and_storefronts_that_make_no_sense_are_refused(terminal: Terminal) -> None:
    soon = terminal.type("reconcile", "--since", "soon")
    assert (soon.status, soon.out) == (2, "")
    assert "write a date such as 2026-11-22" in soon.err
    backwards = terminal.type("reconcile", "--since", "2026-02-01", "--until", "2026-01-01")
    assert backwards.status == 2
    unknown = terminal.type("poll", "--storefront", "moon")
    assert (unknown.status, unknown.err) == (
        1,
        "error: no storefront 'moon' is configured; there are: main\n",
    )


def test_an_order_is_explained_by_rule_amount_sightings_and_entries(terminal: Terminal) -> None:
    order_id = terminal.sandbox.place_order("50.00")
    unseen = terminal.type("explain", "main", str(order_id))
    assert unseen.status == 1
    assert f"bridge reconcile --storefront main --order {order_id}" in unseen.err
    terminal.type("poll")
    told = terminal.type("explain", "main", str(order_id), "--json").json()
    assert (told["verdict"], told["tenant_id"]) == ("credited", "acme")
    assert [entry["amount"] for entry in told["entries"]] == [5000]
    shown = terminal.type("explain", "main", str(order_id)).out
    for part in ("status completed credits the order total", "€50.00", "poll", "acme.EUR.1"):
        assert part in shown


def test_held_orders_are_listed_with_the_remedy(terminal: Terminal) -> None:
    order_id = terminal.sandbox.place_order("50.00", tenant="not a tenant")
    terminal.type("poll")
    [held] = terminal.type("held", "--json").json()["data"]
    assert (held["order_id"], held["reason"]) == (order_id, "tag_invalid")
    assert "correct _tenant_id on the order" in terminal.type("held", "--storefront", "main").out


def test_an_order_that_took_anothers_id_is_credited_once_acknowledged(terminal: Terminal) -> None:
    """As after a restore from a backup: another storefront answers, and its ids begin anew."""
    terminal.sandbox.place_order("50.00")
    terminal.type("poll")
    with Sandbox() as restored:
        restored.place_order("30.00")
        terminal.move_to(restored)
        terminal.type("poll")
        assert terminal.type("held", "--json").json()["data"][0]["reason"] == "identity_changed"
        accepted = terminal.type("acknowledge", "main")
        assert (accepted.status, accepted.out) == (0, "1 orders accepted; main is credited again\n")
        terminal.type("poll")
    assert terminal.type("held").out == "no order is held\n"
    assert terminal.type("balance", "acme", "--json").json()["balances"][0]["balance"] == 8000
