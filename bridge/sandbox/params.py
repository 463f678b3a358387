"""Query parameters, checked and refused in WordPress's own words."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from bridge.sandbox.wire import RestError

PER_PAGE_MAX = 100
DATES = ("after", "before", "modified_after", "modified_before")
PAGING = ("page", "per_page", "offset")
_ORDER_BYS = ("date", "id", "include", "title", "slug", "modified")
_DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d(:\d\d)?)?", re.ASCII)

Params = Mapping[str, str]
Complaint = tuple[str, str]


def is_true(text: str | None) -> bool:
    """Read a boolean as WordPress does."""
    return (text or "").lower() in {"1", "true"}


def check(params: Params, names: Sequence[str], statuses: Iterable[str] = ()) -> None:
    """Raise a RestError 400 that says of each of these parameters what is wrong with it.

    `statuses` are those registered; without any, `status` is not looked at.
    """
    complaints = {name: complaint for name in names if (complaint := _CHECKS[name](params, name))}
    if statuses:
        complaints |= _bad_status(params, statuses)
    if complaints:
        raise invalid_params(complaints)


def invalid_params(complaints: Mapping[str, Complaint]) -> RestError:
    """Return the 400 that lists what is wrong with each parameter."""
    return RestError(
        "rest_invalid_param",
        f"Invalid parameter(s): {', '.join(complaints)}",
        400,
        params={name: message for name, (_, message) in complaints.items()},
        details={
            name: {"code": code, "message": message, "data": None}
            for name, (code, message) in complaints.items()
        },
    )


def one_of(name: str, allowed: Sequence[str]) -> Complaint:
    """Return WordPress's words for a value that is not in its list."""
    comma = "," if len(allowed) > 2 else ""
    words = f"{', '.join(allowed[:-1])}{comma} and {allowed[-1]}"
    return "rest_not_in_enum", f"{name} is not one of {words}."


def listed(params: Params, name: str) -> list[str]:
    """Return a list given as name=a,b or name[]=a&name[1]=b."""
    named = [params[key] for key in params if key == name or key.startswith(f"{name}[")]
    return [text for texts in named for text in re.split(r"[\s,]+", texts) if text]


def _bad_number(params: Params, name: str) -> Complaint | None:
    text = params.get(name, "1")
    if not re.fullmatch(r"-?\d+", text, re.ASCII):
        return "rest_invalid_type", f"{name} is not of type integer."
    if name == "per_page" and not 1 <= int(text) <= PER_PAGE_MAX:
        between = f"between 1 (inclusive) and {PER_PAGE_MAX} (inclusive)"
        return "rest_out_of_bounds", f"per_page must be {between}"
    if name == "page" and int(text) < 1:
        return "rest_out_of_bounds", "page must be greater than or equal to 1"
    return None


def _bad_order(params: Params, name: str) -> Complaint | None:
    allowed = _ORDER_BYS if name == "orderby" else ("asc", "desc")
    return None if params.get(name, allowed[0]) in allowed else one_of(name, allowed)


def _bad_status(params: Params, statuses: Iterable[str]) -> dict[str, Complaint]:
    allowed = ("any", "trash", "auto-draft", *statuses)
    for place, status in enumerate(listed(params, "status")):
        if status not in allowed:
            return {"status": one_of(f"status[{place}]", allowed)}
    return {}


def _bad_date(params: Params, name: str) -> Complaint | None:
    if name not in params:
        return None
    try:
        datetime.fromisoformat(params[name].upper())
        matched = _DATE.fullmatch(params[name])
    except ValueError:
        matched = None
    return None if matched else ("rest_invalid_date", "Invalid date.")


def _bad_ids(params: Params, name: str) -> Complaint | None:
    for place, text in enumerate(listed(params, name)):
        if not re.fullmatch(r"\d+", text, re.ASCII):
            return "rest_invalid_type", f"{name}[{place}] is not of type integer."
    return None


_CHECKS: dict[str, Callable[[Params, str], Complaint | None]] = {
    **dict.fromkeys(PAGING, _bad_number),
    **dict.fromkeys(DATES, _bad_date),
    "exclude": _bad_ids,
    "include": _bad_ids,
    "order": _bad_order,
    "orderby": _bad_order,
}
CHECKED = tuple(_CHECKS)
