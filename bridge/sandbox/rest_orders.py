"""REST: orders and their refunds."""

from collections.abc import Callable, Collection
from typing import Any

from bridge.sandbox import orders
from bridge.sandbox.model import Order, Refund
from bridge.sandbox.params import invalid_params, is_true, one_of
from bridge.sandbox.query import read_query, select
from bridge.sandbox.render import REST_ROOT, Renderer
from bridge.sandbox.resources import Route, editing, json_fields, only_fields, page_response
from bridge.sandbox.state import State
from bridge.sandbox.wire import Request, Response, RestError

INVALID_ID = ("woocommerce_rest_shop_order_invalid_id", "Invalid ID.", 404)
_INVALID_ORDER_ID = ("woocommerce_rest_invalid_order_id", "Invalid order ID.", 404)
_INVALID_REFUND_ID = ("woocommerce_rest_invalid_order_refund_id", "Invalid order refund ID.", 404)


class BrokenOrderError(Exception):
    """A plugin throws while this order is prepared: the whole answer is a 500."""


class OrderRoutes:
    """Answers below /orders, and /refunds."""

    def __init__(self, state: State, renderer: Renderer, broken_orders: Collection[int]) -> None:
        self._state = state
        self._renderer = renderer
        self._broken_orders = broken_orders

    def routes(self) -> list[Route]:
        """Return what is answered here."""
        one, refunds = r"/orders/(\d+)", r"/orders/(\d+)/refunds"
        return [
            Route(
                "/orders",
                {"GET": ("list", self._list_orders), "POST": ("create", self._create_order)},
            ),
            Route("/orders/statuses", {"GET": ("list", self._list_statuses)}),
            Route(
                one,
                {
                    "GET": ("view", self._get_order),
                    **editing(self._update_order),
                    "DELETE": ("delete", self._delete_order),
                },
            ),
            Route(
                refunds,
                {"GET": ("list", self._refunds_of), "POST": ("create", self._create_refund)},
            ),
            Route(
                refunds + r"/(\d+)",
                {"GET": ("view", self._get_refund), "DELETE": ("delete", self._delete_refund)},
            ),
            Route("/refunds", {"GET": ("list", self._all_refunds)}),
        ]

    def _list_orders(self, request: Request) -> Response:
        with self._state.lock:
            rows = select(read_query(request.params, self._state), self._state)
            return self._page(request, rows, self._show_order)

    def _list_statuses(self, _request: Request) -> Response:
        statuses = self._state.settings.statuses
        return Response.json([{"slug": slug, "name": name} for slug, name in statuses.items()])

    def _create_order(self, request: Request) -> Response:
        fields = self._order_fields(request)
        with self._state.lock:
            order = orders.create(self._state, fields)
            shown = self._show_order(order)
        location = f"{self._renderer.url}{REST_ROOT}/orders/{order.id}"
        return Response.json(shown, 201, {"Location": location})

    def _get_order(self, request: Request, order_id: int) -> Response:
        with self._state.lock:
            shown = self._show_order(self._order(order_id))
        return Response.json(only_fields(shown, request.params))

    def _update_order(self, request: Request, order_id: int) -> Response:
        fields = self._order_fields(request)
        with self._state.lock:
            order = self._order(order_id)
            orders.update(self._state, order, fields)
            return Response.json(self._show_order(order))

    def _delete_order(self, request: Request, order_id: int) -> Response:
        """Trash or, by force, drop an order; the answer is the order as it was before."""
        with self._state.lock:
            order = self._order(order_id)
            before = self._show_order(order)
            if is_true(request.params.get("force")):
                self._state.forget(order)
            elif order.status == "trash":
                gone = "The shop_order has already been deleted."
                raise RestError("woocommerce_rest_already_trashed", gone, 410)
            else:
                orders.trash(self._state, order)
        return Response.json(before)

    def _refunds_of(self, request: Request, order_id: int) -> Response:
        with self._state.lock:
            refunds = self._order(order_id, _INVALID_ORDER_ID).refunds[::-1]
            return self._page(request, refunds, self._renderer.refund)

    def _create_refund(self, request: Request, order_id: int) -> Response:
        fields = json_fields(request)
        with self._state.lock:
            refund = orders.refund(
                self._state,
                self._order(order_id, _INVALID_ORDER_ID),
                fields.get("amount"),
                reason=fields.get("reason", ""),
                lines=fields.get("line_items", ()),
                through_gateway=fields.get("api_refund", True),
            )
            return Response.json(self._renderer.refund(refund), 201)

    def _get_refund(self, request: Request, order_id: int, refund_id: int) -> Response:
        with self._state.lock:
            shown = self._renderer.refund(self._refund(order_id, refund_id))
        return Response.json(only_fields(shown, request.params))

    def _delete_refund(self, request: Request, order_id: int, refund_id: int) -> Response:
        if not is_true(request.params.get("force")):
            raise RestError(
                "woocommerce_rest_trash_not_supported", "Refunds are deleted by force.", 501
            )
        with self._state.lock:
            shown = self._renderer.refund(self._refund(order_id, refund_id))
            orders.delete_refund(self._order(order_id), refund_id)
        return Response.json(shown)

    def _all_refunds(self, request: Request) -> Response:
        with self._state.lock:
            refunds = [refund for order in self._state.orders.values() for refund in order.refunds]
            refunds.sort(key=lambda refund: (refund.created_at, refund.id), reverse=True)
            return self._page(
                request, refunds, lambda refund: self._renderer.refund(refund, with_parent=True)
            )

    def _order_fields(self, request: Request) -> dict[str, Any]:
        fields = json_fields(request)
        allowed = self._state.settings.settable_statuses
        if fields.get("status", "pending") not in allowed:
            raise invalid_params({"status": one_of("status", allowed)})
        return fields

    def _page(self, request: Request, rows: list[Any], show: Callable[[Any], Any]) -> Response:
        return page_response(request, self._renderer.url, rows, show)

    def _show_order(self, order: Order) -> dict[str, Any]:
        if order.id in self._broken_orders:
            raise BrokenOrderError
        return self._renderer.order(order)

    def _order(self, order_id: int, missing: tuple[str, str, int] = INVALID_ID) -> Order:
        try:
            return self._state.orders[order_id]
        except KeyError:
            raise RestError(*missing) from None

    def _refund(self, order_id: int, refund_id: int) -> Refund:
        for refund in self._order(order_id, _INVALID_ORDER_ID).refunds:
            if refund.id == refund_id:
                return refund
        raise RestError(*_INVALID_REFUND_ID)
