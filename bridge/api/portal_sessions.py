"""Portal sessions: links that open the tenant's page, once."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from bridge.api import auth, ids
from bridge.api.answers import Time
from bridge.api.asks import Ask, Language, TenantId, WebAddress
from bridge.api.auth import DEPOSIT
from bridge.api.pages.look import Portal
from bridge.api.problems import ProblemError, documented
from bridge.api.services import DeskHere
from bridge.api.strict import StrictRoute
from bridge.domain.clock import Instant, isoformat
from bridge.domain.signing import seal
from bridge.store import portal, reports
from bridge.store.portal import Session

router = APIRouter(tags=["portal"], route_class=StrictRoute)


class PortalSessionAsk(Ask):
    """Whose page it is, and what may be done there."""

    tenant_id: TenantId
    can: Annotated[list[Literal["deposit", "pay"]], Field(max_length=2)] = Field(
        description="None of them: look only.", examples=[["deposit", "pay"]]
    )
    language: Language | None = Field(
        default=None, description="What the browser asks for unless given."
    )
    return_url: WebAddress | None = Field(default=None, description="Where the page leads back.")


class PortalSession(BaseModel):
    """A link to redirect the tenant's browser to: it opens once, until it expires."""

    url: str
    expires_at: Time


@router.post(
    "/v1/portal-sessions",
    status_code=201,
    dependencies=[DEPOSIT],
    responses=documented(400, 404, 409, 413, 415, 422),
)
async def create_portal_session(
    ask: PortalSessionAsk, desk: DeskHere, request: Request
) -> PortalSession:
    """Let a tenant into its page. Scope: `deposit`, to pay there also `debit`.

    Needs no Idempotency-Key: each link is one of its own, and opens once.
    """
    if "pay" in ask.can:
        auth.require(request, "debit")
    services = desk.services
    ids.checked_tenant(services, ask.tenant_id)
    if services.portal is None:
        raise ProblemError(
            409,
            "portal_closed",
            "tenants have no page; set [signing] key_file and [portal] public_url",
        )
    session = _session(ask, services.portal, services.clock())
    await desk.write(
        reports.require_tenant, ask.tenant_id, session.created_at, create=services.create_tenants
    )
    await desk.write(portal.add, session)
    return PortalSession(
        url=_link(services.portal, session), expires_at=isoformat(session.link_expires_at)
    )


def _session(ask: PortalSessionAsk, look: Portal, now: Instant) -> Session:
    link_expires_at = now + look.link_expires_in
    return Session(
        tenant_id=ask.tenant_id,
        session_id=portal.new_id(),
        language=ask.language or "",
        can=" ".join(sorted(set(ask.can))),
        return_url=ask.return_url or "",
        created_at=now,
        link_expires_at=link_expires_at,
        expires_at=link_expires_at + look.session_expires_in,
    )


def _link(look: Portal, session: Session) -> str:
    link = seal(look.link_keys, session.tenant_id, session.session_id, session.link_expires_at)
    return f"{look.public_url}/billing/enter?link={link}"
