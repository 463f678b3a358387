"""Tenants: who they are, what they have and what became of it."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from bridge.api.answers import (
    Balance,
    Entries,
    Entry,
    Tenant,
    Tenants,
    TenantWithBalances,
)
from bridge.api.asks import Currency, EntriesAsk, PageAsk, TenantAsk
from bridge.api.auth import ADMIN, READ
from bridge.api.ids import TenantHere
from bridge.api.paging import page, place
from bridge.api.problems import documented
from bridge.api.services import DeskHere
from bridge.api.strict import StrictRoute
from bridge.domain.entry import EntryId, canonical_metadata
from bridge.store import reports

router = APIRouter(tags=["tenants"], route_class=StrictRoute, responses=documented(404, 422))


@router.put(
    "/v1/tenants/{tenant_id}",
    dependencies=[ADMIN],
    responses={
        201: {"model": Tenant, "description": "The tenant is new."},
        **documented(400, 413, 415),
    },
)
async def put_tenant(
    tenant_id: TenantHere,
    desk: DeskHere,
    response: Response,
    ask: TenantAsk = TenantAsk(),  # noqa: B008 # frozen by never being written to
) -> Tenant:
    """Create a tenant (201), or give it another name and metadata (200). Scope: `admin`."""
    metadata = canonical_metadata(ask.metadata)
    now = desk.services.clock()
    tenant, created = await desk.write(reports.put_tenant, tenant_id, ask.name, metadata, now)
    response.status_code = 201 if created else 200
    return Tenant.of(tenant)


@router.get("/v1/tenants", dependencies=[READ])
async def list_tenants(ask: Annotated[PageAsk, Query()], desk: DeskHere) -> Tenants:
    """List tenants in id order. Scope: `read`."""
    after = place(ask.cursor, str)[0] if ask.cursor else ""
    found = await desk.read(reports.tenants, after, ask.limit + 1)
    tenants, cursor = page(found, ask.limit, lambda tenant: [tenant.tenant_id])
    return Tenants(data=list(map(Tenant.of, tenants)), next_cursor=cursor)


@router.get("/v1/tenants/{tenant_id}", dependencies=[READ])
async def get_tenant(tenant_id: TenantHere, desk: DeskHere) -> TenantWithBalances:
    """Return a tenant with its balance in each currency. Scope: `read`."""
    now = desk.services.clock()
    tenant = await desk.read(reports.tenant, tenant_id)
    wallets = await desk.read(reports.wallets, tenant_id)
    return TenantWithBalances.of(tenant, balances=[Balance.of(wallet, now) for wallet in wallets])


@router.get("/v1/tenants/{tenant_id}/balances/{currency}", dependencies=[READ])
async def get_balance(
    tenant_id: TenantHere, currency: Annotated[Currency, Path()], desk: DeskHere
) -> Balance:
    """Return a balance; zeros where nothing was ever posted. Scope: `read`."""
    now = desk.services.clock()
    return Balance.of(await desk.read(reports.wallet, tenant_id, currency), now)


@router.get("/v1/tenants/{tenant_id}/entries", dependencies=[READ])
async def list_entries(
    tenant_id: TenantHere, ask: Annotated[EntriesAsk, Query()], desk: DeskHere
) -> Entries:
    """List a tenant's entries, newest first, one currency after the other. Scope: `read`."""
    before = EntryId(tenant_id, *place(ask.cursor, str, int)) if ask.cursor else None
    found = await desk.read(
        reports.entries, tenant_id, currency=ask.currency, before=before, limit=ask.limit + 1
    )
    if not found:
        await desk.read(reports.tenant, tenant_id)  # no entries, or no such tenant?
    entries, cursor = page(found, ask.limit, lambda entry: [entry.currency, entry.version])
    return Entries(data=list(map(Entry.of, entries)), next_cursor=cursor)
