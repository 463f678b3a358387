"""The webhooks of the OpenAPI document: every event that endpoints are sent, with an example."""

from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, create_model
from pydantic.json_schema import models_json_schema

from bridge.api.answers import Time
from bridge.api.event_data import data_of
from bridge.api.event_examples import example
from bridge.domain.event import EventType

_AS_SENT: Literal["serialization"] = "serialization"
_REFERENCE = "#/components/schemas/{model}"


class Told(BaseModel):
    """An event as endpoints are sent it. `tenant_id` is null where it concerns operators alone."""

    id: str
    type: EventType
    timestamp: Time
    tenant_id: str | None


def describe(schema: dict[str, Any]) -> None:
    """Add to an OpenAPI document its webhooks, and the schemas of what they carry."""
    models = {one: _told(data_of(one)) for one in EventType}
    wanted = [(model, _AS_SENT) for model in dict.fromkeys(models.values())]
    references, made = models_json_schema(wanted, ref_template=_REFERENCE)
    schema["webhooks"] = {
        one: {"post": _operation(one, references[model, _AS_SENT])} for one, model in models.items()
    }
    schema["components"]["schemas"] |= made["$defs"]


@cache
def _told(data: type[BaseModel]) -> type[Told]:
    return create_model(f"Told{data.__name__}", __base__=Told, data=(data, ...))


def _operation(event_type: EventType, reference: dict[str, Any]) -> dict[str, Any]:
    content = {"schema": reference, "examples": {"event": {"value": example(event_type)}}}
    return {
        "operationId": f"told_{event_type.replace('.', '_')}",
        "summary": event_type.value,
        "tags": ["events"],
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": kind, "description": said}
            for name, kind, said in _HEADERS
        ],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {
            "2XX": {"description": "Taken. Anything else, or none in time: it is sent again."}
        },
    }


_HEADERS = (
    ("webhook-id", {"type": "string"}, "The event's id, the same in every attempt."),
    ("webhook-timestamp", {"type": "integer"}, "When this attempt was made, in Unix seconds."),
    ("webhook-signature", {"type": "string"}, "`v1,<base64>` for each secret, a blank between."),
)
