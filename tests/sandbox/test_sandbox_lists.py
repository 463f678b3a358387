"""Listing orders: windows, zones, paging, and what moves between two pages."""

from collections.abc import Iterator
from typing import Any

import pytest

from bridge.domain.clock import HOUR, SECOND, parse
from bridge.sandbox import Request, Sandbox
from tests.sandbox.asking import api, ids, listed

NOON = parse("2026-11-01T12:00:00Z")
NEW_YORK_S = -5 * 3600


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def three(sandbox: Sandbox) -> list[int]:
    """Place the three orders of BEHAVIOUR.md: stamped 12:00:00, 12:00:00 and 12:00:01 UTC."""
    placed = [sandbox.place_order() for _ in range(3)]
    for order_id, modified_at in zip(placed, (NOON, NOON, NOON + SECOND), strict=True):
        sandbox.stamp(order_id, modified_at)
    return placed


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({"modified_after": "2026-11-01T12:00:00"}, [2]),
        ({"modified_after": "2026-11-01T11:59:59"}, [2, 1, 0]),
        ({"modified_after": "2026-11-01T12:00:00.500"}, [2]),
        ({"modified_before": "2026-11-01T12:00:01"}, [1, 0]),
        ({"modified_after": "2026-11-01T13:00:00+01:00"}, [2]),
    ],
)
def test_bounds_are_exclusive_whole_seconds_and_honour_offsets(
    sandbox: Sandbox, window: dict[str, str], expected: list[int]
) -> None:
    placed = three(sandbox)
    assert ids(sandbox, **window) == [placed[place] for place in expected]


@pytest.mark.parametrize(
    ("window", "count"),
    [
        ({"modified_after": "2026-11-01T11:59:59"}, 0),
        ({"modified_after": "2026-11-01T06:59:59"}, 3),
        ({"modified_after": "2026-11-01T11:59:59", "dates_are_gmt": "true"}, 3),
        ({"modified_after": "2026-11-01T11:59:59Z"}, 3),
        ({"modified_after": "2026-11-01T11:59:59Z", "dates_are_gmt": "true"}, 3),
    ],
)
def test_a_naive_time_is_in_the_zone_of_the_site(window: dict[str, str], count: int) -> None:
    with Sandbox(time_zone_offset_s=NEW_YORK_S) as sandbox:
        three(sandbox)
        assert len(ids(sandbox, **window)) == count


def test_stamps_are_shown_in_the_sites_zone_and_in_utc() -> None:
    with Sandbox(time_zone_offset_s=NEW_YORK_S, clock=lambda: NOON + 1) as sandbox:
        shown = sandbox.order_json(sandbox.place_order())
        date = listed(sandbox, {}).headers["Date"]
    assert shown["date_modified"] == "2026-11-01T07:00:00"
    assert date == "Sun, 01 Nov 2026 12:00:00 GMT"
    assert shown["date_modified_gmt"] == shown["date_paid_gmt"] == "2026-11-01T12:00:00"


@pytest.mark.parametrize("bad", ["2026-11-01", "1793534400", "garbage", "2026-13-01T00:00:00"])
def test_a_time_that_is_none_is_refused(sandbox: Sandbox, bad: str) -> None:
    answer = listed(sandbox, {"modified_after": bad})
    assert answer.status_code == 400
    assert answer.json()["data"]["params"] == {"modified_after": "Invalid date."}


def test_creation_has_bounds_of_its_own() -> None:
    now = [NOON]
    with Sandbox(clock=lambda: now[0]) as sandbox:
        early = sandbox.place_order()
        now[0] += HOUR
        late = sandbox.place_order()
        sandbox.touch(early)
        assert ids(sandbox, after="2026-11-01T12:00:00Z") == [late]
        assert ids(sandbox, before="2026-11-01T13:00:00Z") == [early]


def test_any_leaves_out_trash_and_auto_drafts_but_lists_can_name_them(sandbox: Sandbox) -> None:
    completed = sandbox.place_order()
    draft = sandbox.place_order(status="checkout-draft")
    sandbox.place_order(status="auto-draft")
    trashed = sandbox.place_order()
    sandbox.trash(trashed)
    assert set(ids(sandbox)) == {completed, draft}
    assert set(ids(sandbox, status="completed,trash")) == {completed, trashed}
    assert ids(sandbox, include=trashed) == []
    assert ids(sandbox, include=trashed, status="trash") == [trashed]


def test_orders_are_found_by_id_and_by_text(sandbox: Sandbox) -> None:
    fees = [{"name": "Deposit bridge-7f3a", "total": "5.00", "tax_status": "none"}]
    named, other = sandbox.place_order(fee_lines=fees), sandbox.place_order()
    assert ids(sandbox, search="BRIDGE-7f3a") == [named]
    assert ids(sandbox, exclude=named) == [other]
    assert ids(sandbox, include=f"{other},{named}", orderby="include", order="asc") == [
        other,
        named,
    ]


def test_only_the_fields_asked_for_are_answered(sandbox: Sandbox) -> None:
    sandbox.place_order()
    shown = listed(sandbox, {"_fields": "id,status,billing.email"}).json()
    assert shown == [{"id": 17, "status": "completed", "billing": {"email": ""}}]


def test_a_page_beyond_the_end_is_empty_and_has_totals_of_zero(sandbox: Sandbox) -> None:
    sandbox.place_order()
    answer = listed(sandbox, {"page": 2})
    assert (answer.status_code, answer.json()) == (200, [])
    assert answer.headers["X-WP-Total"] == answer.headers["X-WP-TotalPages"] == "0"


def test_an_offset_moves_the_rows_but_not_the_number_of_pages(sandbox: Sandbox) -> None:
    placed = [sandbox.place_order() for _ in range(5)]
    answer = listed(sandbox, {"offset": 3, "per_page": 2, "orderby": "id", "order": "asc"})
    assert [order["id"] for order in answer.json()] == placed[3:]
    assert answer.headers["X-WP-TotalPages"] == "3"


def test_the_link_to_the_next_page_echoes_the_oauth_parameters(sandbox: Sandbox) -> None:
    sandbox.place_order()
    sandbox.place_order()
    link = listed(sandbox, {"per_page": 1}).headers["Link"]
    assert sandbox.consumer_key in link
    assert link.endswith('rel="next"')


def test_head_answers_the_headers_alone(sandbox: Sandbox) -> None:
    sandbox.place_order()
    answer = api(sandbox)._API__request("HEAD", "orders", None)
    assert (answer.status_code, answer.headers["X-WP-Total"], answer.content) == (200, "1", b"")


def pages(sandbox: Sandbox, **params: Any) -> list[int]:
    """Read every page of ten by number, as a naive client does."""
    seen: list[int] = []
    for page in range(1, 20):
        rows = ids(sandbox, page=page, per_page=10, **params)
        if not rows:
            break
        seen += rows
    return seen


def test_all_orders_of_one_second_are_paged_by_id(sandbox: Sandbox) -> None:
    placed = [sandbox.place_order() for _ in range(35)]
    for order_id in placed:
        sandbox.stamp(order_id, NOON)
    assert pages(sandbox, orderby="modified", order="asc") == placed
    assert pages(sandbox, orderby="modified", order="desc") == placed[::-1]


def test_touching_an_order_between_two_pages_hides_another_one(sandbox: Sandbox) -> None:
    """The trap that a poll by page numbers falls into; `on_request` sets it."""
    placed = [sandbox.place_order() for _ in range(40)]
    for order_id in placed:
        sandbox.stamp(order_id, NOON)

    def touch_before_page_two(request: Request) -> None:
        if request.params["page"] == "2":
            sandbox.touch(placed[0])

    sandbox.on_request = touch_before_page_two
    seen = pages(sandbox, orderby="modified", order="asc")
    assert set(placed) - set(seen) == {placed[10]}
    assert [request.params["page"] for request in sandbox.requests] == ["1", "2", "3", "4", "5"]


def test_a_storefront_with_very_many_orders_can_be_seeded_and_listed(sandbox: Sandbox) -> None:
    for _ in range(20_000):
        sandbox.place_order()
    last = {"per_page": 100, "page": 200, "orderby": "modified", "order": "asc"}
    answer = listed(sandbox, last)
    assert len(answer.json()) == 100
    assert answer.headers["X-WP-Total"] == "20000"


def test_statuses_that_a_plugin_registered_are_listed_like_the_others() -> None:
    with Sandbox(custom_statuses={"deposit-paid": "Deposit paid"}) as sandbox:
        order_id = sandbox.place_order(status="deposit-paid")
        assert ids(sandbox) == ids(sandbox, status="deposit-paid") == [order_id]
        statuses = api(sandbox).get("orders/statuses").json()
    assert {"slug": "deposit-paid", "name": "Deposit paid"} in statuses
