"""Holds real events to what the OpenAPI document says of them."""

from collections.abc import Iterable
from typing import Any

from bridge.api.event_data import data_of
from bridge.domain.event import EventType

BODY = ["id", "type", "timestamp", "tenant_id", "data"]


def check_documented(events: Iterable[dict[str, Any]]) -> None:
    """Fail unless each event says all that is documented, and nothing else."""
    for event in events:
        assert list(event) == BODY
        event_type, data = EventType(event["type"]), event["data"]
        model = data_of(event_type)
        model.model_validate(data)
        required = {name for name, field in model.model_fields.items() if field.is_required()}
        assert required <= set(data) <= set(model.model_fields), event_type
