"""The third application: the page that tenants see, and nothing else."""

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.api.middleware import LimitBody, Observe
from bridge.api.pages import ahead, deposits, doors, look, offer, overview, requests, statement
from bridge.api.pages.visit import page, portal_of, trouble
from bridge.api.services import Desk, Services

ASSET_AGE_S = 3600
"""How long browsers keep style, script and logo."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self';"
        " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """Explains every error as a page, and tells browsers what pages of ours may do."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        begun = False

        async def reply(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, reply)
        except ClientDisconnect:
            return
        except Exception as error:
            if begun or scope["type"] != "http":
                raise
            await trouble(Request(scope), error)(scope, receive, reply)


def portal_app(services: Services) -> ASGIApp:
    """Return the tenants' page; `services.portal` says how it looks. It belongs behind TLS."""
    app = Starlette(
        routes=_routes(),
        middleware=[Middleware(Guard), Middleware(LimitBody)],
        exception_handlers={HTTPException: _not_here},
    )
    app.router.redirect_slashes = False
    app.state.desk = Desk(services)
    return Observe(app)


def _routes() -> list[Route]:
    deposit = "/billing/deposits/{deposit_id}"
    request = "/billing/requests/{request_id}"
    return [
        Route("/billing/enter", doors.enter),
        Route("/billing/return", doors.come_back),
        _post("/billing/leave", page(doors.leave)),
        Route("/billing/", page(overview.overview)),
        Route("/billing/ahead", page(ahead.ahead)),
        _post("/billing/renewals/pay", page(ahead.pay, can="pay")),
        Route("/billing/offer", offer.show),
        _post("/billing/offer", offer.accept),
        Route("/billing/entries", page(statement.entries)),
        Route("/billing/statement.csv", page(statement.as_csv)),
        Route("/billing/statement.pdf", page(statement.as_pdf)),
        Route("/billing/deposit", page(deposits.choose, can="deposit")),
        Route("/billing/deposit/review", page(deposits.review, can="deposit")),
        _post("/billing/deposit", page(deposits.start, can="deposit")),
        Route(deposit, page(deposits.follow)),
        Route(f"{deposit}/live", page(deposits.live)),
        _post(f"{deposit}/cancel", page(deposits.cancel, can="deposit")),
        Route(request, page(requests.show, can="pay")),
        _post(f"{request}/pay", page(requests.pay, can="pay")),
        Route("/billing/style.css", _style),
        Route("/billing/live.js", _script),
        Route("/billing/logo", _logo),
        Route("/livez", _livez),
    ]


def _post(path: str, endpoint: Callable[[Request], Any]) -> Route:
    return Route(path, endpoint, methods=["POST"])


async def _not_here(request: Request, error: Exception) -> Response:
    return trouble(request, error)


async def _style(request: Request) -> Response:
    return _asset(look.style(portal_of(request)), "text/css")


async def _script(_request: Request) -> Response:
    return _asset(look.static("live.js"), "text/javascript")


async def _logo(request: Request) -> Response:
    portal = portal_of(request)
    if not portal.logo:
        raise HTTPException(404)
    return _asset(portal.logo, portal.logo_type)


async def _livez(_request: Request) -> Response:
    return PlainTextResponse("ok")


def _asset(content: str | bytes, media_type: str) -> Response:
    headers = {"Cache-Control": f"public, max-age={ASSET_AGE_S}"}
    return Response(content, media_type=media_type, headers=headers)
