"""Expire holds whose time has run out, through the same door as everything else."""

from bridge.domain.entry import POSTED, Draft, EntryId, Kind, request_digest
from bridge.store import reports
from bridge.store.batcher import Batcher
from bridge.sync.context import Context

EXPIRE_MAX = 500
"""Holds expired at once."""


def expire(context: Context, batcher: Batcher) -> int:
    """Release the holds that are due; returns how many. Several replicas may do so at once."""
    with context.database.read() as tx:
        due = reports.expired_holds(tx, context.clock(), EXPIRE_MAX)
    if not due:
        return 0
    outcomes = batcher.submit([_draft(place) for place in due]).result()
    return sum(outcome.status == POSTED for outcome in outcomes)


def _draft(place: EntryId) -> Draft:
    return Draft(
        Kind.EXPIRE,
        place.tenant_id,
        place.currency,
        None,
        caller="bridge",
        key=f"expire/{place.version}/{place.currency}",
        digest=request_digest(Kind.EXPIRE, *place),
        contra="plans",
        source="bridge/expire",
        description=f"Hold {'.'.join(map(str, place))} has expired",
        related_version=place.version,
    )
