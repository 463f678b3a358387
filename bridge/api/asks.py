"""What callers send. Unknown fields are refused; 1.0, "1" and true are no integers."""

import re
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
from fastapi import Header
from msgspec import UNSET, Meta, UnsetType
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from bridge.api.problems import IDEMPOTENCY_KEY
from bridge.domain.clock import Instant, parse
from bridge.domain.money import AMOUNT_MAX, UnknownCurrencyError, exponent
from bridge.tongue import languages

BATCH_MAX = 1000
"""Debits in one request."""

PAGE_SIZE = 50
PAGE_SIZE_MAX = 200
"""Rows in one page of a list."""

KEY_MAX = 255
REFERENCE_MAX = 255
DESCRIPTION_MAX = 1000
METADATA_NAME_MAX = 40
METADATA_VALUE_MAX = 500
"""Characters of texts."""

METADATA_MAX = 50
"""Members of metadata."""

HOLD_EXPIRES_IN_S = 7 * 86_400
HOLD_EXPIRES_IN_MAX_S = 90 * 86_400
"""How long a hold lasts, in seconds."""


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("should not have a NUL character in it")
    return text


def _currency(code: str) -> str:
    try:
        exponent(code)
    except UnknownCurrencyError as error:
        raise PydanticCustomError("unknown_currency", "{why}", {"why": str(error)}) from None
    return code


def _nonzero(amount: int) -> int:
    if amount == 0:
        raise ValueError("should not be 0")
    return amount


def _integer(text: Any) -> Any:
    """Read a query's or path's digits; only ASCII ones, so that a number is written in one way."""
    if isinstance(text, str) and not re.fullmatch("-?[0-9]{1,20}", text):
        raise ValueError("should be an integer in plain digits")
    return int(text)


WEB_ADDRESS_MAX = 2000
"""Characters of an address."""

# RFC 3986's characters only, since browsers read others in their own ways: \ as /, say.
_HOST = r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
_WEB_ADDRESS = re.compile(rf"https?://{_HOST}([/?#][A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*)?")


def _web_address(text: str) -> str:
    urlsplit(text)  # which raises for what is no IP address in brackets
    if len(text) > WEB_ADDRESS_MAX or not _WEB_ADDRESS.fullmatch(text):
        raise ValueError(
            "should be an http or https address such as https://app.example.com/billing, in ASCII, "
            "without a name or password"
        )
    return text


def _language(text: str) -> str:
    if text not in languages():
        raise ValueError(f"should be one of {', '.join(languages())}")
    return text


_ZONE_NAME = re.compile("[A-Za-z0-9+_-]+(/[A-Za-z0-9+_-]+)*")


def _time_zone(name: str) -> str:
    try:
        if _ZONE_NAME.fullmatch(name):
            return ZoneInfo(name).key
    except (ValueError, OSError, LookupError):
        pass
    raise ValueError("should be UTC or the name of a time zone such as Europe/Berlin")


def _day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise ValueError("should be a day that there is, such as 2026-11-30") from None
    return text


def _instant(text: Any) -> Instant:
    if not isinstance(text, str):
        raise ValueError('should be a time such as "2026-11-22T15:39:29Z"')  # noqa: TRY004 # pydantic's way
    return parse(text)


Storable = AfterValidator(_storable)
Name = Annotated[str, StringConstraints(max_length=255), Storable]
Reference = Annotated[str, StringConstraints(max_length=REFERENCE_MAX), Storable]
Description = Annotated[str, StringConstraints(max_length=DESCRIPTION_MAX), Storable]
Why = Annotated[str, StringConstraints(min_length=1, max_length=1000), Storable]
Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=METADATA_NAME_MAX), Storable],
        Annotated[str, StringConstraints(max_length=METADATA_VALUE_MAX), Storable],
    ],
    Field(max_length=METADATA_MAX),
]
TenantId = Annotated[str, Field(description="Kept byte for byte.", examples=["acme"])]
Currency = Annotated[
    str, AfterValidator(_currency), Field(description="ISO 4217.", examples=["EUR"])
]
Amount = Annotated[int, Field(gt=0, le=AMOUNT_MAX, description="In minor units.", examples=[1900])]
SignedAmount = Annotated[
    int,
    Field(ge=-AMOUNT_MAX, le=AMOUNT_MAX, description="In minor units, not 0.", examples=[-500]),
    AfterValidator(_nonzero),
]
Time = Annotated[
    Instant,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-22T15:39:29Z"]}),
]
WebAddress = Annotated[
    str, AfterValidator(_web_address), Field(examples=["https://app.example.com/billing"])
]
Language = Annotated[str, AfterValidator(_language), Field(examples=["en"])]
TimeZone = Annotated[
    str, AfterValidator(_time_zone), Field(max_length=64, examples=["Europe/Berlin"])
]
# No "/", which ends it in a path, and in the key of a period.
REFERENCE = re.compile("[A-Za-z0-9][A-Za-z0-9._:@+=~-]{0,127}")
"""The reference of a renewal."""
PERIOD = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
"""The name of a renewal's period."""
RenewalReference = Annotated[
    str,
    StringConstraints(pattern=f"^{REFERENCE.pattern}$"),
    Field(description="Yours, e.g. a subscription's id.", examples=["sub-17"]),
]
Period = Annotated[
    str,
    StringConstraints(pattern=f"^{PERIOD.pattern}$"),
    AfterValidator(_day),
    Field(description="Its due day, in the renewal's time zone.", examples=["2026-11-30"]),
]
Purpose = Literal["plan_purchase", "plan_renewal", "other"]
_KeyText = StringConstraints(min_length=1, max_length=KEY_MAX, pattern="^[ -~]+$")
Key = Annotated[
    str,
    _KeyText,
    Header(
        alias=IDEMPOTENCY_KEY,
        description="Yours to choose, taken byte for byte. A request that is sent again with its "
        "key moves money once. It belongs to the API key's name and the tenant, forever.",
        examples=["renewal-acme-2026-11"],
    ),
]
OptionalKey = Annotated[
    Annotated[str, _KeyText] | None,
    Header(alias=IDEMPOTENCY_KEY, description="Not needed: a hold can be voided only once anyway."),
]


class Ask(BaseModel):
    """A request's body or query."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TenantAsk(Ask):
    """A tenant's name and metadata; what is left out becomes empty."""

    name: Name = ""
    metadata: Metadata = Field(default_factory=dict)


class DebitAsk(Ask):
    """Money to take from a tenant's wallet."""

    tenant_id: TenantId
    amount: Amount
    currency: Currency
    purpose: Purpose
    reference: Reference = Field(default="", description="Yours, e.g. an invoice number.")
    description: Description = Field(default="", description="For the tenant to read.")
    metadata: Metadata = Field(default_factory=dict)
    period: Period | None = Field(
        default=None,
        description="The period of the renewal `reference` that this debit pays. Who pays it, "
        "bridge or you, it is paid once; asked for again it is replayed, whatever the amount.",
    )

    @field_validator("period")
    @classmethod
    def _of_a_renewal(cls, period: str | None, known: ValidationInfo) -> str | None:
        if period is not None and not REFERENCE.fullmatch(known.data.get("reference", "")):
            raise ValueError("is of a renewal; its reference must stand in `reference`")
        return period


class KeyedDebitAsk(DebitAsk):
    """One debit of a batch, with the key it would have had as a request of its own."""

    idempotency_key: Annotated[str, _KeyText]


class DebitBatchAsk(Ask):
    """Debits that share one commit, and nothing else: each is posted or declined for itself."""

    debits: list[KeyedDebitAsk] = Field(min_length=1, max_length=BATCH_MAX)


class PlainDebit(msgspec.Struct, forbid_unknown_fields=True):
    """What is plainly a `DebitAsk`, its members as they were sent, read in a tenth of the time.

    Whatever this takes `DebitAsk` would take, too; so it may be stricter, but not laxer.
    """

    tenant_id: str
    amount: Annotated[int, Meta(gt=0, le=AMOUNT_MAX)]
    currency: str
    purpose: Purpose
    reference: Annotated[str, Meta(max_length=REFERENCE_MAX)] | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=DESCRIPTION_MAX)] | UnsetType = UNSET
    metadata: (
        Annotated[
            dict[
                Annotated[str, Meta(min_length=1, max_length=METADATA_NAME_MAX)],
                Annotated[str, Meta(max_length=METADATA_VALUE_MAX)],
            ],
            Meta(max_length=METADATA_MAX),
        ]
        | UnsetType
    ) = UNSET
    period: UnsetType | None = UNSET


class PlainKeyedDebit(PlainDebit, kw_only=True):
    """What is plainly a `KeyedDebitAsk`."""

    idempotency_key: Annotated[str, Meta(max_length=KEY_MAX, pattern=r"^[ -~]+\Z")]


class PlainDebits(msgspec.Struct, forbid_unknown_fields=True):
    """What is plainly a `DebitBatchAsk`."""

    debits: Annotated[list[PlainKeyedDebit], Meta(min_length=1, max_length=BATCH_MAX)]


class RefundAsk(Ask):
    """Money to give back from a debit or a capture."""

    amount: Amount | None = Field(default=None, description="What is left unless given.")
    reason: Why


class HoldAsk(Ask):
    """Money to reserve in a tenant's wallet."""

    tenant_id: TenantId
    amount: Amount
    currency: Currency
    reference: Reference = ""
    description: Description = ""
    metadata: Metadata = Field(default_factory=dict)
    expires_in_s: int = Field(
        HOLD_EXPIRES_IN_S, gt=0, le=HOLD_EXPIRES_IN_MAX_S, description="Seconds from now."
    )


class CaptureAsk(Ask):
    """How much of a hold to take; the rest becomes available."""

    amount: Amount | None = Field(default=None, description="The whole hold unless given.")


class VoidAsk(Ask):
    """Nothing: a void takes no arguments."""


class AdjustmentAsk(Ask):
    """A change of a balance that an admin answers for. It may lead into debt."""

    tenant_id: TenantId
    amount: SignedAmount
    currency: Currency
    reason: Why
    actor: Annotated[str, StringConstraints(min_length=1, max_length=100), Storable] = Field(
        description="Who decided it."
    )


class ReconciliationAsk(Ask):
    """The orders to compare: those created in a window, or one."""

    storefront: str = Field(examples=["main"])
    since: Time | None = Field(default=None, description="30 days ago unless given.")
    until: Time | None = Field(default=None, description="Now unless given.")
    order_id: Annotated[int, Field(gt=0, le=AMOUNT_MAX)] | None = None
    dry_run: bool = Field(default=False, description="Find, but post nothing.")
    accept_vanished: bool = Field(
        default=False, description="Take credits back even where many orders are gone at once."
    )


Digits = BeforeValidator(_integer)
Limit = Annotated[int, Digits, Field(ge=1, le=PAGE_SIZE_MAX)]
Cursor = Annotated[
    str | None, Field(max_length=500, description="The `next_cursor` of the page before.")
]


class PageAsk(Ask):
    """A page of a list."""

    cursor: Cursor = None
    limit: Limit = PAGE_SIZE


class EntriesAsk(PageAsk):
    """A page of a tenant's entries."""

    currency: Currency | None = None


class HeldOrdersAsk(PageAsk):
    """A page of held orders."""

    verdict: Literal["held"] = "held"
    storefront: str | None = None


class PaymentOptionsAsk(Ask):
    """What is to be paid."""

    amount: Annotated[int, Digits, Field(gt=0, le=AMOUNT_MAX, description="In minor units.")]
    currency: Currency
