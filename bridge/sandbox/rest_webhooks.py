"""REST: webhooks."""

from typing import Any

from bridge.sandbox.params import is_true
from bridge.sandbox.render import REST_ROOT, Renderer
from bridge.sandbox.resources import Route, editing, json_fields, only_fields, page_response
from bridge.sandbox.webhooks import Webhook, Webhooks
from bridge.sandbox.wire import Request, Response, RestError

_INVALID_ID = ("woocommerce_rest_shop_webhook_invalid_id", "Invalid ID.", 404)


class WebhookRoutes:
    """Answers below /webhooks."""

    def __init__(self, webhooks: Webhooks, renderer: Renderer) -> None:
        self._webhooks = webhooks
        self._renderer = renderer

    def routes(self) -> list[Route]:
        """Return what is answered here."""
        return [
            Route(
                "/webhooks",
                {"GET": ("list", self._list_webhooks), "POST": ("create", self._create_webhook)},
            ),
            Route(
                r"/webhooks/(\d+)",
                {
                    "GET": ("view", self._get_webhook),
                    **editing(self._update_webhook),
                    "DELETE": ("delete", self._delete_webhook),
                },
            ),
        ]

    def _list_webhooks(self, request: Request) -> Response:
        return page_response(
            request, self._renderer.url, self._webhooks.newest_first(), self._show_webhook
        )

    def _create_webhook(self, request: Request) -> Response:
        fields = json_fields(request)
        if missing := [name for name in ("topic", "delivery_url") if name not in fields]:
            message = f"Missing parameter(s): {', '.join(missing)}"
            raise RestError("rest_missing_callback_param", message, 400, params=missing)
        webhook = self._webhooks.add(
            fields["delivery_url"],
            fields["topic"],
            fields.get("secret", ""),
            name=fields.get("name", ""),
            status=fields.get("status", "active"),
        )
        location = f"{self._renderer.url}{REST_ROOT}/webhooks/{webhook.id}"
        return Response.json(self._show_webhook(webhook), 201, {"Location": location})

    def _get_webhook(self, request: Request, webhook_id: int) -> Response:
        return Response.json(
            only_fields(self._show_webhook(self._webhook(webhook_id)), request.params)
        )

    def _update_webhook(self, request: Request, webhook_id: int) -> Response:
        webhook = self._webhook(webhook_id)
        self._webhooks.update(webhook, json_fields(request))
        return Response.json(self._show_webhook(webhook))

    def _delete_webhook(self, request: Request, webhook_id: int) -> Response:
        if not is_true(request.params.get("force")):
            trashless = "Webhooks do not support trashing."
            raise RestError("woocommerce_rest_trash_not_supported", trashless, 501)
        shown = self._show_webhook(self._webhook(webhook_id))
        self._webhooks.remove(webhook_id)
        return Response.json(shown)

    def _show_webhook(self, webhook: Webhook) -> dict[str, Any]:
        return webhook.shown(self._renderer)

    def _webhook(self, webhook_id: int) -> Webhook:
        webhook = self._webhooks.get(webhook_id)
        if webhook is None:
            raise RestError(*_INVALID_ID)
        return webhook
