"""The kinds of value a setting can have, each with its check; ValueError says what to write."""

import re
from datetime import UTC, date, datetime, tzinfo
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
)
from pydantic_settings import NoDecode

from bridge.domain.clock import Instant, parse
from bridge.domain.money import AMOUNT_MAX, is_currency
from bridge.storefront import address
from bridge.storefront.errors import StorefrontAddressError

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_STATUS = re.compile(r"[a-z0-9][a-z0-9_-]*")
# WooCommerce: what is not paid, or not any more. The empty cart of a checkout is `checkout-draft`.
_NEVER_CREDIT = frozenset(
    {"pending", "on-hold", "cancelled", "failed", "refunded"}
    | {"trash", "checkout-draft", "auto-draft", "draft"}
)
# WooCommerce: meta that a checkout form or an address fills in, so that shoppers choose the value.
_SHOPPERS_REACH = (
    "_wc_other/",
    "_wc_billing/",
    "_wc_shipping/",
    "_wc_order_attribution_",
    "_billing_",
    "_shipping_",
    "billing_",
    "shipping_",
    "order_",
    "additional_",
)


class Section(BaseModel):
    """A table of the file: nothing unknown in it, nothing changed after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Listen(NamedTuple):
    """Where a listener is reached: host and port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        """As it is written in the configuration."""
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address to call; of a unix socket, its path."""
        return str(self) if self.path else f"http://{self}"


def _listen(value: Any) -> Listen:
    if isinstance(value, Listen):
        return value
    text = value if isinstance(value, str) else ""
    if text.startswith("unix:/"):
        return Listen(path=text.removeprefix("unix:"))
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})", text)
    if match is None or int(match[3]) > 65535:
        raise ValueError(
            "is no address to listen on; write a host and port such as 127.0.0.1:8850 or "
            "[::1]:8850, or unix:/run/bridge/api.sock"
        )
    return Listen(match[1] or match[2], int(match[3]))


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            "is no storefront name; write 1 to 32 small letters, digits and dashes such as "
            "main-eu: it stands in URLs, and in the ledger for ever"
        )
    return value


def _endpoint_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            "is no name of an endpoint; write 1 to 32 small letters, digits and dashes such as "
            "core: what was delivered is remembered under it"
        )
    return value


def _status(value: str) -> str:
    if value.startswith("wc-"):
        raise ValueError(f"write {value.removeprefix('wc-')!r}: the API leaves out the wc-")
    if value in _NEVER_CREDIT:
        raise ValueError(
            f"{value!r} cannot credit: the order is not paid, or not any more; write a status that "
            "means paid, such as completed or processing"
        )
    if not _STATUS.fullmatch(value):
        raise ValueError("is no order status; write its slug, such as completed")
    return value


def _currency(value: str) -> str:
    if not is_currency(value):
        raise ValueError(f"{value!r} is no ISO 4217 currency; write a code such as EUR")
    return value


def _tag_key(value: str) -> str:
    reachable = next((prefix for prefix in _SHOPPERS_REACH if value.startswith(prefix)), None)
    if reachable:
        raise ValueError(
            f"shoppers fill in keys that begin with {reachable!r}, so anyone could name a tenant; "
            "write a key that only your own code sets, such as _tenant_id"
        )
    if not value or value != value.strip() or not value.isprintable():
        raise ValueError("is no meta key; write one such as _tenant_id")
    return value


def _pattern(value: Any) -> re.Pattern[str]:
    if isinstance(value, re.Pattern):
        return value
    try:
        return re.compile(value)
    except (TypeError, re.error) as error:
        raise ValueError(
            f"is no regular expression ({error}); write one that whole tenant ids match, "
            "such as [a-z0-9-]{1,64}"
        ) from None


def _instant(value: Any) -> Instant:
    text = value.isoformat() if isinstance(value, date | datetime) else value
    try:
        return parse(text)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"is no time ({error}); write a date such as 2026-11-22 (midnight UTC) or a time "
            "such as 2026-11-22T12:00:00Z"
        ) from None


def web_address(value: str, *, insecure_http: bool = False) -> str:
    """Return a plain web address; ValueError for any other, and for http to another machine."""
    try:
        return address.checked("", value, insecure_http=insecure_http)
    except StorefrontAddressError as error:
        raise ValueError(str(error).rpartition(": ")[2].removeprefix("url ")) from None


def _public_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or parts.path.strip("/"):
        raise ValueError(
            "is no origin; write scheme and host only, such as https://billing.example.com: "
            "the page is at /billing/ there"
        )
    try:
        return web_address(value)
    except ValueError:
        raise ValueError(
            "is not safe for cookies; write an https origin such as https://billing.example.com "
            "(http only on this machine)"
        ) from None


def _zone(value: Any) -> tzinfo:
    if isinstance(value, tzinfo):
        return value
    if value == "UTC":  # it is known without a database of zones
        return UTC
    try:
        return ZoneInfo(value)
    except (TypeError, ValueError, OSError, LookupError):
        raise ValueError("is no time zone; write UTC or a name such as Europe/Berlin") from None


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


# NoDecode: written in the environment as in the file, though a tuple would be JSON there.
ListenAt = Annotated[Listen, NoDecode, PlainValidator(_listen)]
ConnectionsMax = Annotated[int, Field(ge=1, le=100_000)]
Name = Annotated[str, AfterValidator(_name)]
EndpointName = Annotated[str, AfterValidator(_endpoint_name)]
Status = Annotated[str, AfterValidator(_status)]
Currency = Annotated[str, AfterValidator(_currency)]
TagKey = Annotated[str, AfterValidator(_tag_key)]
Pattern = Annotated[re.Pattern[str], PlainValidator(_pattern)]
Moment = Annotated[Instant, PlainValidator(_instant)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
Zone = Annotated[tzinfo, PlainValidator(_zone)]
Amount = Annotated[int, Field(gt=0, le=AMOUNT_MAX)]
SecretFile = Annotated[str, Field(min_length=1)]
SecretFiles = Annotated[tuple[SecretFile, ...], BeforeValidator(_one_or_many)]
