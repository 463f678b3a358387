"""Choosing event types: by name, or a family of them by what stands before the dot."""

from collections.abc import Iterable
from difflib import get_close_matches

from bridge.domain.event import EventType

EVERY = frozenset(EventType)


def chosen(patterns: Iterable[str]) -> frozenset[EventType]:
    """Return the types that are named, as in "wallet.debited" or "renewal.*"; all where none is.

    ValueError names a pattern that means nothing, and what it is close to.
    """
    types = [_chosen(pattern) for pattern in patterns]
    return frozenset().union(*types) if types else EVERY


def _chosen(pattern: str) -> frozenset[EventType]:
    family = pattern.removesuffix("*")
    if pattern.endswith(".*"):
        types = frozenset(one for one in EventType if one.startswith(family))
    else:
        types = frozenset(one for one in EventType if one == pattern)
    if not types:
        raise ValueError(f"{pattern!a:.60} is no event type; {_advice(pattern)}")
    return types


def _advice(pattern: str) -> str:
    families = sorted({f"{one.partition('.')[0]}.*" for one in EventType})
    close = get_close_matches(pattern, [*EventType, *families], n=3)
    return f"did you mean {' or '.join(close)}?" if close else f"families: {', '.join(families)}"
