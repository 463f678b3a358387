"""Mistakes, all named at once: where each is, what is wrong, and what to write."""

import json
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from bridge.config.model import Config
from bridge.domain.errors import ConfigurationError

Place = tuple[str | int, ...]


class Mistake(NamedTuple):
    """One thing to mend: `place` leads to it from the top of the file."""

    place: Place
    text: str

    def __str__(self) -> str:
        """One line, such as `storefronts[0].url: is missing; …`."""
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.place)
        return f"{''.join(steps).removeprefix('.')}: {self.text}"


def error(file: str, mistakes: Iterable[Mistake]) -> ConfigurationError:
    """Return the one error that names them all, each once."""
    lines = list(dict.fromkeys(str(mistake) for mistake in mistakes))
    count = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
    return ConfigurationError("\n  ".join([f"{file} has {count}:", *lines]))


def found(invalid: ValidationError) -> list[Mistake]:
    """Return what the models refused, in words for the person who wrote the file."""
    return [_mistake(details) for details in invalid.errors(include_url=False)]


def _mistake(details: ErrorDetails) -> Mistake:
    place = details["loc"]
    if details["type"] == "extra_forbidden":
        return Mistake(place, _unknown(place))
    field = _fields(place[:-1]).get(str(place[-1]))
    if details["type"] == "missing":
        return Mistake(place, f"is missing; {_advice(place, field)}")
    if details["type"] == "value_error":
        return Mistake(place, details["msg"].removeprefix("Value error, "))
    said = _KINDS.get(details["type"], details["msg"].replace("Input should", "should"))
    return Mistake(place, f"{said}; {_advice(place, field)}" if field else said)


_KINDS = {
    "frozen_set_type": "should be a list",
    "tuple_type": "should be a list",
    "model_type": "should be a table",
    "dict_type": "should be a table",
    "too_short": "should not be empty",
}


def _unknown(place: Place) -> str:
    """Say which key was meant; the value is not repeated, for it may be a secret."""
    known = list(_fields(place[:-1]))
    close = get_close_matches(str(place[-1]), known, n=1, cutoff=0.6)
    if close:
        return f"is no setting; did you mean {close[0]}?"
    return f"is no setting; here these are: {', '.join(known)}"


def _advice(place: Place, field: FieldInfo | None) -> str:
    example: Any = None
    if field is not None:
        example = field.examples[0] if field.examples else field.get_default()
    return f"write for example {place[-1]} = {_toml(example)}"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_toml(item)}' for key, item in value.items())} }}"
    if isinstance(value, frozenset | list | tuple):
        return json.dumps(sorted(value))
    return json.dumps(value)


def _fields(place: Sequence[str | int]) -> Mapping[str, FieldInfo]:
    """Return the settings of the table that a place leads to."""
    model: type[BaseModel] = Config
    for step in place:
        field = model.model_fields.get(str(step))
        if field is not None:
            model = _model_in(field.annotation) or model
    return model.model_fields


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the table in an annotation such as tuple[Storefront, ...] or dict[str, Gateway]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    models = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in models if model), None)
