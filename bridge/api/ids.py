"""Ids that callers send: checked before the store is asked."""

from typing import Annotated

from fastapi import Depends, Path

from bridge.api.problems import invalid
from bridge.api.services import DeskHere, Services
from bridge.domain.entry import EntryId
from bridge.domain.errors import NotFoundError
from bridge.domain.money import is_currency
from bridge.domain.tenant import is_tenant_id
from bridge.store.reports import EntryNotFoundError


def checked_tenant(services: Services, tenant_id: str, field: str = "tenant_id") -> str:
    """Return a tenant id as it came; ProblemError 422 where no tenant can be called that."""
    if not is_tenant_id(tenant_id, services.tenant_pattern):
        pattern = services.tenant_pattern.pattern
        raise invalid([(field, f"should be a tenant id: text that matches {pattern}")])
    return tenant_id


async def _tenant_id(
    tenant_id: Annotated[str, Path(description="Kept byte for byte.", examples=["acme"])],
    desk: DeskHere,
) -> str:
    return checked_tenant(desk.services, tenant_id)


TenantHere = Annotated[str, Depends(_tenant_id)]


def place_of(services: Services, entry_id: str) -> EntryId:
    """Read an entry id from a path; EntryNotFoundError where no entry can be called that."""
    try:
        place = EntryId.parse(entry_id)
    except NotFoundError as error:
        raise EntryNotFoundError(str(error)) from None
    if not is_tenant_id(place.tenant_id, services.tenant_pattern) or not is_currency(
        place.currency
    ):
        raise EntryNotFoundError(f"{entry_id!a} is not an entry id; they look like acme.EUR.17")
    return place
