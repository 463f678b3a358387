"""The public door: webhooks become hints. Nothing is ever credited from their bodies."""

from starlette.requests import Request
from starlette.responses import Response

from bridge import metrics
from bridge.api.middleware import BodyTooLargeError
from bridge.api.problems import ProblemError
from bridge.api.services import Desk, Storefront
from bridge.domain.clock import SECOND, Instant
from bridge.store import inbox
from bridge.store.inbox import Hint
from bridge.storefront import parse, signature

DEBOUNCE: Instant = 3 * SECOND // 10
"""How long a hint rests, since WooCommerce sends several for one change."""


async def receive(request: Request) -> Response:
    """Take a webhook: verify, leave a hint, answer 200 at once. The storefront is not asked."""
    desk: Desk = request.app.state.desk
    storefront = desk.services.storefronts.get(request.path_params["storefront"])
    if storefront is None:
        raise ProblemError(404, "storefront_not_found", "no storefront of this name is configured")
    try:
        result = await _take(desk, storefront, request)
    except BodyTooLargeError:
        metrics.hints_total.labels(storefront.name, "too_large").inc()
        raise
    metrics.hints_total.labels(storefront.name, result).inc()
    if refusal := _REFUSALS.get(result):
        raise refusal()
    return Response("ok\n", media_type="text/plain")


async def livez(_request: Request) -> Response:
    """Answer as long as the listener serves requests at all."""
    return Response("ok\n", media_type="text/plain")


async def _take(desk: Desk, storefront: Storefront, request: Request) -> str:
    """Return what became of the webhook, by the names that hints_total counts."""
    raw_body = await request.body()
    if not any(storefront.webhook_secrets):
        return "closed"
    if signature.is_ping(request.headers.get("content-type"), raw_body):
        return "ping"
    given = request.headers.get("x-wc-webhook-signature")
    if not signature.verify(raw_body, given, storefront.webhook_secrets):
        return "bad_signature"
    order_id = parse.hint(raw_body)
    if order_id is None:
        return "junk"
    now = desk.services.clock()
    hint = Hint(storefront.name, order_id, now + DEBOUNCE, now, way="webhook")
    await desk.write(inbox.put, [hint])
    desk.services.nudge(storefront.name)
    return "received"


def _closed() -> ProblemError:
    detail = "webhooks of this storefront are not accepted: no webhook_secret_file is configured"
    return ProblemError(403, "webhooks_closed", detail)


def _bad_signature() -> ProblemError:
    detail = "X-WC-Webhook-Signature does not match; configure the secret the webhook was made with"
    headers = {"WWW-Authenticate": 'X-WC-Webhook-Signature realm="webhooks"'}
    return ProblemError(401, "bad_signature", detail, headers=headers)


_REFUSALS = {"closed": _closed, "bad_signature": _bad_signature}
