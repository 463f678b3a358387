"""The two applications: the internal API, and the public listener for webhooks."""

import json
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bridge import __version__
from bridge.api import (
    adjustments,
    debits,
    deposits,
    events,
    forecasts,
    holds,
    notices,
    orders,
    payment_requests,
    payments,
    portal_sessions,
    problems,
    reconciliations,
    renewals,
    system,
    tenants,
    webhook_docs,
    webhooks,
)
from bridge.api.auth import Authenticate, KeyRing
from bridge.api.express import Express
from bridge.api.middleware import Explain, LimitBody, Observe
from bridge.api.problems import Problem, documented
from bridge.api.services import Desk, Services
from bridge.domain.errors import BridgeError
from bridge.domain.money import AMOUNT_MAX

_DESCRIPTION = """\
Balances of tenants, funded by WooCommerce orders; debits, holds, refunds, deposits and payment
requests for the SaaS core; renewals from the balance, and events that tell what happened.

Amounts are integers in minor units beside their ISO 4217 `currency`. Lists come in pages: send
`next_cursor` back as `cursor` until it is null. Errors are RFC 9457 problems with a stable `code`.
Every answer has an `X-Request-Id`: yours, or a new one.
"""

_PARTS = (
    *(tenants, payments, debits, holds, renewals, forecasts),
    *(deposits, payment_requests, portal_sessions),
    *(adjustments, orders, reconciliations, events, notices),
)

_HANDLERS: dict[Any, Any] = dict.fromkeys(
    (BridgeError, HTTPException, RequestValidationError), problems.handle
)


class _Api(FastAPI):
    """FastAPI, whose schema names our problems too."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI schema."""
        if self.openapi_schema is None:
            # FastAPI writes limits as floats, and the largest amount is none.
            text = json.dumps(super().openapi()).replace(str(float(AMOUNT_MAX)), str(AMOUNT_MAX))
            self.openapi_schema = json.loads(text)
            self.openapi_schema["components"]["schemas"]["Problem"] = Problem.model_json_schema()
            webhook_docs.describe(self.openapi_schema)
        return self.openapi_schema


def internal_app(services: Services) -> ASGIApp:
    """Return the API of the SaaS core and of admins; it belongs on an address nobody else sees."""
    desk = Desk(services)
    ring = KeyRing(desk)
    framework = LimitBody(Authenticate(_framework(desk), ring))
    return Express(Observe(Explain(framework)), desk, ring, refusing)


def refusing(error: Exception) -> ASGIApp:
    """Return an app that answers every request with what went wrong."""

    async def refuse(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise error

    return Observe(Explain(refuse))


def _framework(desk: Desk) -> ASGIApp:
    app = _Api(
        title="bridge",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,  # it would load scripts from other people's servers
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        exception_handlers=_HANDLERS,
        # Or FastAPI would answer before we do, in its own words.
        middleware=[Middleware(Explain)],
    )
    app.state.desk = desk
    for part in _PARTS:
        app.include_router(part.router, responses=documented(401, 403, 500, 503))
    app.include_router(system.router)
    return app


def webhook_app(services: Services) -> ASGIApp:
    """Return the listener for webhooks, which storefronts must reach; nothing else is there."""
    path = "/webhooks/woocommerce/{storefront}"
    app = Starlette(
        routes=[
            # Both forms: a redirect would lose the POST, and WooCommerce counts it as a failure.
            Route(path, webhooks.receive, methods=["POST"]),
            Route(f"{path}/", webhooks.receive, methods=["POST"]),
            Route("/livez", webhooks.livez),
        ],
        middleware=[Middleware(Explain), Middleware(LimitBody)],
        exception_handlers=_HANDLERS,
    )
    app.router.redirect_slashes = False
    app.state.desk = Desk(services)
    return Observe(app)
