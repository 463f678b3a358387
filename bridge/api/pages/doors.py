"""The ways in and out: the signed link, the way back from a storefront, and leaving."""

from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bridge.api.pages.visit import (
    COOKIE,
    SEE_OTHER,
    Visit,
    VisitOverError,
    language_of,
    portal_of,
    rendered,
)
from bridge.api.services import Desk
from bridge.domain.clock import SECOND, Instant
from bridge.domain.signing import seal, unseal
from bridge.store import deposits, inbox, portal
from bridge.store.deposits import Deposit
from bridge.store.inbox import Hint
from bridge.tongue import tongue

HOME = "/billing/"


async def enter(request: Request) -> Response:
    """Exchange a link for a session, once; the link cannot be used again.

    The answer is a page that leads on by itself: after a redirect from another site the browser
    would not send the cookie (docs/decisions/0022).
    """
    desk: Desk = request.app.state.desk
    look = portal_of(request)
    if request.method == "HEAD":  # whoever only looks at a link must not use it up
        return Response()
    link = unseal(look.link_keys, request.query_params.get("link"))
    if link is None:
        raise VisitOverError
    tenant_id, session_id, _ = link
    session = await desk.write(portal.enter, tenant_id, session_id, desk.services.clock())
    if session is None:
        raise VisitOverError
    request.state.language = session.language
    answer = _bounce(request, HOME)
    answer.set_cookie(
        COOKIE,
        seal(look.cookie_keys, session.tenant_id, session.session_id),
        max_age=look.session_expires_in // SECOND,
        path="/billing",
        secure=look.public_url.startswith("https:"),
        httponly=True,
        samesite="strict",
    )
    return answer


async def come_back(request: Request) -> Response:
    """Take in a tenant whom a storefront sent back, and look at the deposit's order at once.

    Where the SaaS core asked for the deposit, the tenant goes on to the core.
    """
    desk: Desk = request.app.state.desk
    order = request.query_params.get("order", "")
    order_id = int(order) if order.isascii() and order.isdigit() and len(order) < 19 else 0
    deposit_id = request.query_params.get("deposit", "")
    deposit = await desk.write(_came_back, deposit_id, order_id, desk.services.clock())
    if order_id and deposit.order_id is None:
        desk.services.nudge(deposit.storefront)
    if deposit.return_url:
        return RedirectResponse(_with(deposit.return_url, deposit=deposit_id), SEE_OTHER)
    return _bounce(request, f"/billing/deposits/{deposit.deposit_id}")


async def leave(visit: Visit) -> Response:
    """End the session, and lead back to where the visitor came from."""
    session, say = visit.session, visit.tongue.say
    await visit.desk.write(portal.leave, session.tenant_id, session.session_id, visit.now)
    if session.return_url:
        # No redirect: browsers hold the redirects of a form to form-action, which is ours alone.
        answer = visit.render("bounce.html", url=session.return_url)
    else:
        title, advice = say("You have left"), say("You can close this page now.")
        answer = rendered(visit.portal, visit.tongue, "notice.html", title=title, advice=advice)
    answer.delete_cookie(COOKIE, path="/billing", httponly=True, samesite="strict")
    return answer


def _came_back(tx: Any, deposit_id: str, order_id: int, now: Instant) -> Deposit:
    deposit = deposits.get(tx, deposit_id)
    deposits.hasten(tx, deposit, now)
    if order_id and deposit.order_id is None:
        inbox.put(tx, [Hint(deposit.storefront, order_id, now, now, "return")])
    return deposit


def _bounce(request: Request, url: str) -> Response:
    return rendered(portal_of(request), tongue(language_of(request)), "bounce.html", url=url)


def _with(url: str, **values: str) -> str:
    """Add values to the query of a URL, which stays as it is: it may be signed."""
    parts = urlsplit(url)
    query = "&".join(filter(None, [parts.query, urlencode(values)]))
    return urlunsplit(parts._replace(query=query))
