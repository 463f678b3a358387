"""A tenant's visit: who looks, in which language, and what every page needs to be shown."""

from collections.abc import Awaitable, Callable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from babel.dates import format_date, format_time
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from bridge.api import problems
from bridge.api.pages import words
from bridge.api.pages.look import Portal
from bridge.api.problems import ProblemError
from bridge.api.services import Desk
from bridge.domain.clock import Instant, to_datetime
from bridge.domain.signing import seal, unseal
from bridge.store import portal as sessions
from bridge.store.portal import Session
from bridge.tongue import Tongue, preferred, tongue

COOKIE = "bridge_portal"

SEE_OTHER = 303
"""Where to look after a POST."""

FIELDS_MAX = 20
"""Fields of a form."""


class Visit(NamedTuple):
    """A request by a tenant whose session is good; `form` is what was posted."""

    request: Request
    desk: Desk
    portal: Portal
    session: Session
    tongue: Tongue
    form: Mapping[str, str]

    @property
    def tenant_id(self) -> str:
        """Whose page it is."""
        return self.session.tenant_id

    @property
    def now(self) -> Instant:
        """The present instant."""
        return self.desk.services.clock()

    def asked(self, name: str) -> str:
        """Return a field of the form, or of the query; "" where it was left out."""
        return self.form.get(name, "") or self.request.query_params.get(name, "")

    def render(self, template: str, status_code: int = 200, **values: Any) -> Response:
        """Return a page in the visit's language."""
        token = seal(self.portal.form_keys, self.session.session_id)
        more = {"session": self.session, "token": token, **values}
        return rendered(self.portal, self.tongue, template, status_code, **more)


Handler = Callable[[Visit], Awaitable[Response]]


class VisitOverError(ProblemError):
    """There is no session, or it has ended."""

    def __init__(self) -> None:
        super().__init__(401, "visit_over", "the session has ended; ask for a new link")


def page(handler: Handler, can: str = "") -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint for a page that only visitors see, who may do what it is for.

    A POST counts only with the token that our own forms have.
    """

    async def endpoint(request: Request) -> Response:
        visit = await _visit(request)
        if request.method == "POST":
            token = unseal(visit.portal.form_keys, visit.form.get("token"))
            if token != [visit.session.session_id]:
                raise ProblemError(403, "form_foreign", "the form is not one of this session")
        if can and can not in visit.session.can.split():
            raise ProblemError(403, "not_allowed", f"the session may not {can}")
        return await handler(visit)

    return endpoint


def portal_of(request: Request) -> Portal:
    """Return how the page of this app is configured."""
    portal: Portal = request.app.state.desk.services.portal
    return portal


def language_of(request: Request) -> str:
    """Return the session's language, else the one the browser asks for, else the operator's."""
    wanted = request.headers.get("accept-language", "")
    said: str = getattr(request.state, "language", "")
    return said or preferred(wanted, portal_of(request).language)


def trouble(request: Request, error: Exception) -> Response:
    """Return the page that explains an error; what is ours to mend is logged."""
    answered = problems.answer(error)
    portal = portal_of(request)
    spoken = tongue(language_of(request))
    title, advice = words.trouble(spoken, getattr(error, "code", ""), answered.status_code)
    shown = rendered(
        portal, spoken, "notice.html", answered.status_code, title=title, advice=advice
    )
    if "retry-after" in answered.headers:
        shown.headers["Retry-After"] = answered.headers["retry-after"]
    return shown


def rendered(
    portal: Portal, spoken: Tongue, template: str, status_code: int = 200, **values: Any
) -> Response:
    """Return a page, with the words and numbers of a language and the operator's name."""
    helpers = {
        "portal": portal,
        "lang": str(spoken.locale).replace("_", "-"),
        "money": spoken.money,
        "percent": spoken.percent,
        "title_of": partial(words.title, spoken),
        "detail_of": partial(words.detail, spoken),
        "status_of": partial(words.status, spoken),
        "purpose_of": partial(words.purpose, spoken),
        "interval_of": partial(words.interval, spoken),
        "waiting_of": partial(words.waiting, spoken),
        "day": partial(day, spoken, portal),
        "moment": partial(moment, spoken, portal),
    }
    text = _environment(spoken).get_template(template).render(helpers | values)
    return HTMLResponse(text, status_code)


def day(spoken: Tongue, portal: Portal, instant: Instant) -> str:
    """Write a day, in the portal's zone."""
    local = to_datetime(instant).astimezone(portal.zone)
    return format_date(local.date(), "medium", locale=spoken.locale)


def moment(spoken: Tongue, portal: Portal, instant: Instant) -> str:
    """Write a day and the time of day, in the portal's zone."""
    local = to_datetime(instant).astimezone(portal.zone)
    time = format_time(local.time(), "short", locale=spoken.locale)
    return f"{day(spoken, portal, instant)}, {time}"


async def _visit(request: Request) -> Visit:
    desk: Desk = request.app.state.desk
    portal = portal_of(request)
    found = unseal(portal.cookie_keys, request.cookies.get(COOKIE))
    if found is None:
        raise VisitOverError
    tenant_id, session_id = found
    session = await desk.read(sessions.find, tenant_id, session_id, desk.services.clock())
    if session is None:
        raise VisitOverError
    request.state.language = session.language
    spoken = tongue(language_of(request))
    return Visit(request, desk, portal, session, spoken, await form_of(request))


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields that were posted, none for another method; ProblemError 422 for junk."""
    if request.method != "POST":
        return {}
    try:
        text = (await request.body()).decode()
        return dict(parse_qsl(text, max_num_fields=FIELDS_MAX, keep_blank_values=True))
    except ValueError:
        raise problems.invalid([("form", "cannot be read")]) from None


@cache
def _environment(spoken: Tongue) -> Environment:
    environment = Environment(
        loader=PackageLoader("bridge.api.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    # The extension adds these methods to the environment when it is loaded.
    environment.install_gettext_translations(spoken.catalog, newstyle=True)  # type: ignore[attr-defined]
    return environment
