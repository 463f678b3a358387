"""The configuration as it was written, before any model has seen it."""

from collections.abc import Mapping
from typing import Any

Table = dict[str, Any]


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> Table:
    """Return a table with another laid over it, and likewise the tables in it; not the lists."""
    both = dict(under)
    for key, value in over.items():
        below = both.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            both[key] = merged(below, value)
        else:
            both[key] = value
    return both


def table(said: Mapping[str, Any], key: str) -> Table:
    """Return a table by its name, an empty one for what is none: that is the models' business."""
    value = said.get(key, {})
    return value if isinstance(value, dict) else {}


def tables(said: Mapping[str, Any], key: str) -> list[Table]:
    """Return the tables of a list, likewise."""
    rows = said.get(key)
    return [row if isinstance(row, dict) else {} for row in rows] if isinstance(rows, list) else []


def storefronts(said: Mapping[str, Any]) -> list[Table]:
    """Return the storefronts' tables."""
    return tables(said, "storefronts")


def texts(value: Any) -> list[str]:
    """Return the texts of a setting that is one or a list of them."""
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str)]
