"""Deposits that bridge starts: what may be deposited, what it brings, and how one fares."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from bridge.domain.clock import HOUR, MINUTE, SECOND, Instant
from bridge.domain.errors import BridgeError, InvalidRequestError
from bridge.domain.money import AMOUNT_MAX, format_amount
from bridge.domain.signing import Keys, seal, unseal

TAG_KEY = "_bridge_deposit"
"""The meta key of a signed tag, on an order or on one of its lines; shoppers cannot reach it."""

RETURN_KEY = "_bridge_return"
"""The meta key under which an order keeps where the tenant goes when it is paid."""

PERIODS_MAX = 120
"""Periods of a plan that one deposit may cover."""

BASIS_POINTS = 10_000
"""The whole, in hundredths of a percent."""


class Mode(StrEnum):
    """How the tenant gets to the payment."""

    PAY = "pay"
    """The pay page of an order that bridge makes; needs no plugin."""
    CHECKOUT = "checkout"
    """The checkout, with the deposit in the cart; needs the companion plugin."""
    CART = "cart"
    """The cart, likewise."""


class Status(StrEnum):
    """How a deposit fares."""

    OPEN = "open"
    """Not paid yet, as far as the storefront knows."""
    PAID = "paid"
    """The storefront has the money, but the order does not credit yet."""
    CREDITED = "credited"
    """In the balance, at least in part."""
    EXPIRED = "expired"
    """Nobody paid in time."""
    CANCELLED = "cancelled"
    """Called off before it was paid."""
    REVERSED = "reversed"
    """It was in the balance, and was taken back wholly."""


UNDER_WAY = frozenset({Status.OPEN, Status.PAID})
"""The states that are watched."""


class DepositRefusedError(InvalidRequestError):
    """No such deposit may be opened; the message says which may."""

    code = "deposit_refused"


class DepositClosedError(BridgeError):
    """The deposit is paid, and so cannot be called off any more."""

    code = "deposit_closed"
    http_status = 409


class Tier(NamedTuple):
    """A bonus for deposits from an amount on, in basis points of the deposit."""

    minimum: int
    basis_points: int


class Limits(NamedTuple):
    """What may be deposited in a currency; amounts in minor units.

    `balance_max` is what the balance may reach by a deposit, None for no limit.
    """

    currency: str
    minimum: int
    maximum: int
    step: int = 1
    presets: tuple[int, ...] = ()
    balance_max: int | None = None
    tiers: tuple[Tier, ...] = ()

    def bonus(self, amount: int) -> int:
        """Return what a deposit brings on top, by the highest tier it reaches, rounded down."""
        reached = max((tier for tier in self.tiers if tier.minimum <= amount), default=None)
        return amount * reached.basis_points // BASIS_POINTS if reached else 0

    def smallest(self, wanted: int) -> int | None:
        """Return the smallest allowed amount that is at least `wanted`; None where it is none."""
        amount = -(-max(wanted, self.minimum) // self.step) * self.step
        return amount if amount <= self.maximum else None


class Plan(NamedTuple):
    """A plan of the price list: `price` in minor units for one `interval`, e.g. "month"."""

    id: str
    name: str
    price: int
    currency: str
    interval: str


class Terms(NamedTuple):
    """What a storefront takes: how, by currency, and for how long a deposit stays open."""

    mode: Mode
    expires_in: Instant
    limits: Mapping[str, Limits]


class Purpose(NamedTuple):
    """The debit a deposit is meant for, made when it is credited; or the payment request.

    With a `request_id` the rest is empty: the request says it.
    """

    amount: int = 0
    purpose: str = ""
    reference: str = ""
    description: str = ""
    metadata: str = "{}"
    request_id: str = ""

    def as_json(self) -> str:
        """Return it as the text that a deposit keeps."""
        return json.dumps(self._asdict(), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Purpose":
        """Read what `as_json` wrote."""
        return cls(**json.loads(text))


class Asked(NamedTuple):
    """A deposit somebody asks for: by `amount` and `currency`, or by `plan` and `periods`.

    `caller` and `key` are the idempotency key's owner and text. An empty `storefront` or a `mode`
    of None leaves the choice to the configuration.
    """

    tenant_id: str
    caller: str
    key: str
    amount: int | None = None
    currency: str = ""
    storefront: str = ""
    plan: str = ""
    periods: int = 1
    mode: Mode | None = None
    return_url: str = ""
    purpose: Purpose | None = None
    metadata: str = "{}"


class Tag(NamedTuple):
    """What an order started by bridge says under our signature; amounts in minor units.

    The bonus is part of it, since it was promised before anybody paid.
    """

    deposit_id: str
    tenant_id: str
    amount: int
    currency: str
    bonus: int

    def sealed(self, keys: Keys) -> str:
        """Return the tag as an order carries it."""
        return seal(keys, *self)


def read_tag(keys: Keys, text: object) -> Tag | None:
    """Return the tag that was sealed with one of the keys, None for any other text."""
    values = unseal(keys, text)
    return None if values is None else Tag._make(values)


class Sight(NamedTuple):
    """What settling an order showed of its deposit.

    `net` is what the balance has of it now, in minor units; `paid`: the storefront has the money;
    `gone`: nobody can pay that order any more.
    """

    net: int
    paid: bool
    gone: bool


def after(status: Status, sight: Sight) -> Status:
    """Return the state that follows; an order paid all the same is credited all the same."""
    if sight.net > 0:
        return Status.CREDITED
    if status in {Status.CREDITED, Status.REVERSED}:
        return Status.REVERSED
    if sight.paid:
        return Status.PAID
    if sight.gone:
        return status if status is Status.EXPIRED else Status.CANCELLED
    return Status.OPEN if status is Status.PAID else status


def waiting_for(status: Status, order_status: str) -> str | None:
    """Say what a deposit under way waits for: payment, bank or storefront; None for any other."""
    if status is Status.PAID:
        return "storefront"
    if status is not Status.OPEN:
        return None
    return {"on-hold": "bank", "processing": "storefront"}.get(order_status, "payment")


def bonus_left(bonus: int, credited: int, left: int) -> int:
    """Return the bonus in proportion to what is left of the deposit after refunds, rounded down.

    So a full refund takes the whole bonus back, in however many parts it comes.
    """
    return bonus * left // credited


_PACE = ((5 * MINUTE, 2 * SECOND), (HOUR // 2, 10 * SECOND), (2 * HOUR, MINUTE))
_SLOWEST = 10 * MINUTE


def next_look(since: Instant, now: Instant) -> Instant:
    """Return when to look at a watched order again: often at first, then less and less."""
    pause = next((pause for age, pause in _PACE if now - since < age), _SLOWEST)
    return now + pause


def check_amount(limits: Limits, amount: int, *, stepped: bool = True) -> None:
    """Raise DepositRefusedError unless the amount may be deposited; a plan's price has no steps."""
    if not limits.minimum <= amount <= limits.maximum:
        least, most = _told(limits, limits.minimum), _told(limits, limits.maximum)
        raise DepositRefusedError(f"deposits are from {least} to {most}; choose an amount between")
    if stepped and amount % limits.step:
        raise DepositRefusedError(f"deposits are multiples of {_told(limits, limits.step)}")


def check_balance(limits: Limits, after_deposit: int) -> None:
    """Raise DepositRefusedError where the balance would grow beyond its limit."""
    most = limits.balance_max or AMOUNT_MAX
    if after_deposit > most:
        raise DepositRefusedError(
            f"with what is under way, the balance would exceed {_told(limits, most)}; deposit less"
        )


def _told(limits: Limits, amount: int) -> str:
    return f"{format_amount(amount, limits.currency)} {limits.currency}"
