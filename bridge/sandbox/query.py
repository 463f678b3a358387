"""The query of `GET /orders`: read as WordPress reads it, applied as HPOS would in SQL."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from bridge.domain.clock import SECOND, Instant, from_datetime
from bridge.sandbox.model import Order
from bridge.sandbox.params import CHECKED, DATES, Params, check, is_true, listed
from bridge.sandbox.state import State

PER_PAGE_DEFAULT = 10


class Page(NamedTuple):
    """Some rows of many."""

    rows: Sequence[Any]
    total: int
    pages: int


class Query(NamedTuple):
    """What was asked for. Instants are UTC; all four bounds are exclusive."""

    statuses: frozenset[str]
    bounds: Mapping[str, Instant]
    include: Sequence[int]
    exclude: Sequence[int]
    search: str
    order_by: str
    descending: bool


def read_query(params: Params, state: State) -> Query:
    """Read the filters; raises RestError 400 naming every bad parameter."""
    settings = state.settings
    check(params, CHECKED, settings.statuses)
    zone_s = 0 if is_true(params.get("dates_are_gmt")) else settings.time_zone_offset_s
    return Query(
        statuses=_statuses(params, settings.statuses),
        bounds={name: _instant(params[name], zone_s) for name in DATES if name in params},
        include=[int(text) for text in listed(params, "include")],
        exclude=[int(text) for text in listed(params, "exclude")],
        search=params.get("search", ""),
        order_by=params.get("orderby", "date"),
        descending=params.get("order", "desc") == "desc",
    )


def select(query: Query, state: State) -> list[Order]:
    """Return the orders that match, in the order asked for; ties are broken by id."""
    bounds = query.bounds
    rows = state.modified_between(bounds.get("modified_after"), bounds.get("modified_before"))
    rows = [order for order in rows if order.status in query.statuses]
    for matches in _filters(query):
        rows = [order for order in rows if matches(order)]
    if query.order_by != "modified":
        rows.sort(key=_sort_key(query))
    return rows[::-1] if query.descending else rows


def page_of(rows: Sequence[Any], params: Params) -> Page:
    """Cut out the page. WooCommerce: beyond the end the totals are 0; pages ignore `offset`."""
    per_page = int(params.get("per_page", PER_PAGE_DEFAULT))
    first = int(params.get("offset", (int(params.get("page", 1)) - 1) * per_page))
    chosen = rows[first : first + per_page]
    return Page(chosen, len(rows), -(-len(rows) // per_page)) if chosen else Page([], 0, 0)


def page_headers(page: Page, url: str, params: Params, echoed: Params) -> dict[str, str]:
    """Return the paging headers; `echoed` are OAuth's parameters, which Link repeats."""
    headers = {"X-WP-Total": str(page.total), "X-WP-TotalPages": str(page.pages)}
    number = int(params.get("page", 1))
    links = []
    if number > 1:
        links.append(_link(url, params, echoed, min(number - 1, page.pages), "prev"))
    if number < page.pages:
        links.append(_link(url, params, echoed, number + 1, "next"))
    return headers | ({"Link": ", ".join(links)} if links else {})


def _statuses(params: Params, registered: Mapping[str, str]) -> frozenset[str]:
    wanted = listed(params, "status") or ["any"]
    return frozenset((*wanted, *(registered if "any" in wanted else ())))


def _instant(text: str, zone_s: int) -> Instant:
    """Read a date-time; sub-seconds are dropped, a naive one is in the site's zone."""
    moment = datetime.fromisoformat(text.upper())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC) - timedelta(seconds=zone_s)
    return from_datetime(moment) // SECOND * SECOND


def _filters(query: Query) -> list[Callable[[Order], bool]]:
    after, before = query.bounds.get("after"), query.bounds.get("before")
    include, exclude, text = set(query.include), set(query.exclude), query.search.lower()
    filters: list[Callable[[Order], bool]] = []
    if after is not None:
        filters.append(lambda order: order.created_at > after)
    if before is not None:
        filters.append(lambda order: order.created_at < before)
    if include:
        filters.append(lambda order: order.id in include)
    if exclude:
        filters.append(lambda order: order.id not in exclude)
    if text:
        filters.append(lambda order: any(text in field.lower() for field in _searchable(order)))
    return filters


def _searchable(order: Order) -> list[str]:
    lines = order.products + order.fees
    return [
        str(order.id),
        order.transaction_id,
        *order.billing.values(),
        *(line.name for line in lines),
    ]


def _sort_key(query: Query) -> Callable[[Order], Any]:
    if query.order_by == "date":
        return lambda order: (order.created_at, order.id)
    if query.order_by == "include":
        places = {order_id: place for place, order_id in enumerate(query.include)}
        return lambda order: places.get(order.id, order.id)
    return lambda order: order.id


def _link(url: str, params: Params, echoed: Params, number: int, rel: str) -> str:
    others = {name: text for name, text in params.items() if not name.startswith("status")}
    statuses = {
        f"status[{place}]": text for place, text in enumerate(listed(params, "status") or ["any"])
    }
    defaults = {"dp": "2", "context": "view"}  # WordPress names these too
    pairs = {**others, **echoed, **statuses, **defaults, "page": str(number)}
    return f'<{url}?{urlencode(pairs)}>; rel="{rel}"'
