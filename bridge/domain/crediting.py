"""What an order is worth: from its present state alone, a set of named effects with target amounts.

`effects(order, rules)` answers with a Worth, or with Held and the reason why nobody should guess.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from bridge.domain import started
from bridge.domain.deposit import Tag, bonus_left
from bridge.domain.held import Held, HeldError, HeldReason
from bridge.domain.money import (
    AmountPrecisionError,
    AmountUnreadableError,
    format_amount,
    is_currency,
    parse_amount,
)
from bridge.domain.order import Line, Order, Refund
from bridge.domain.signing import Keys
from bridge.domain.tenant import DEFAULT_PATTERN, is_tenant_id

DEPOSIT = "deposit"
BONUS = "promotion/bonus"
"""The effect of a promised bonus; it shrinks in proportion as the deposit is refunded."""

DISPUTE = "hold/dispute"
"""The effect of an order that is `on-hold` after it was credited: the money stays, but held."""

VANISHED = "vanished"
"""Our status for an order that the storefront says does not exist (any more)."""

NEGATIVE_STATUSES = frozenset({"cancelled", "failed", "trash", "refunded", VANISHED})
"""States that take a credit back at once; every other step back must be seen twice."""


class AmountRule(StrEnum):
    """Which part of an order becomes balance."""

    TOTAL = "total"
    """The order's total, tax and shipping included."""
    NET = "net"
    """The order's total without tax."""
    DEPOSIT_LINES = "deposit_lines"
    """What was paid for the lines that are deposits, their tax included; other goods are not."""


class TagPlace(StrEnum):
    """Where an order may carry its tenant."""

    ORDER = "order"
    LINES = "lines"
    SKU = "sku"


class Rules(NamedTuple):
    """How a storefront's orders are credited; built by the configuration."""

    statuses: frozenset[str] = frozenset({"completed"})
    gateway_statuses: Mapping[str, frozenset[str]] = {}
    amount: AmountRule = AmountRule.TOTAL
    deposit_product_ids: frozenset[int] = frozenset()
    deposit_skus: frozenset[str] = frozenset()
    deposit_fee_names: frozenset[str] = frozenset()
    tag_key: str = "_tenant_id"
    tag_places: frozenset[TagPlace] = frozenset({TagPlace.ORDER, TagPlace.LINES})
    sku_prefix: str = ""
    tenant_pattern: re.Pattern[str] = re.compile(DEFAULT_PATTERN)
    currencies: frozenset[str] | None = None
    require_evidence: bool = False
    trusted_offline_methods: frozenset[str] = frozenset({"bacs", "cheque", "cod"})
    deposit_keys: Keys = ()

    def crediting_statuses(self, payment_method: str) -> frozenset[str]:
        """The statuses that credit an order paid by this gateway."""
        return self.gateway_statuses.get(payment_method, self.statuses)

    def fingerprint(self) -> str:
        """The rules as text: equal text means equal rules, in any process.

        Keys are no part of it: what they unlock was held, and held orders are looked at anyway.
        """
        return repr([_stable(value) for value in self._replace(deposit_keys=())])

    def needs_refund_lines(self, order: Order) -> bool:
        """Tell whether refunds must be read line by line: where only a part of the order counts."""
        started_here = order.seals or any(line.seals for line in order.lines)
        return bool(started_here) or self.amount is not AmountRule.TOTAL


def _stable(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return sorted((key, _stable(item)) for key, item in value.items())
    return value.pattern if isinstance(value, re.Pattern) else value


class AmountLine(NamedTuple):
    """One line of the answer to "why this amount?", in minor units."""

    name: str
    amount: int


class Worth(NamedTuple):
    """What an order is worth now.

    `effects` maps names to target amounts in minor units of `currency`; empty means nothing.
    `certain` is False for a step back that may be a slip of the storefront and must be seen twice.
    `disputed` means: whatever was credited before stays, and is held. In both cases `refunds` are
    the effects beside the deposit, which count at once even so; None where they cannot be told.
    """

    tenant_id: str
    currency: str
    effects: Mapping[str, int]
    because: str
    certain: bool = True
    disputed: bool = False
    refunds: Mapping[str, int] | None = None
    lines: tuple[AmountLine, ...] = ()


def effects(order: Order, rules: Rules) -> Worth | Held:
    """Say what an order is worth, from its present state alone."""
    statuses = rules.crediting_statuses(order.payment_method)
    if order.status in NEGATIVE_STATUSES and order.status != "refunded":
        return _nothing(order, f"status {order.status} takes the credit back")
    if order.status == "on-hold":
        because = (
            "status on-hold credits nothing; what was credited before is held for the time being"
        )
        return _unsettled(order, rules, because, disputed=True)
    if order.status != "refunded" and order.status not in statuses:
        because = f"status {order.status} does not credit; these do: {', '.join(sorted(statuses))}"
        return _unsettled(order, rules, because, disputed=False)
    worth = _guarded(order, rules)
    return _refunded(order, worth) if order.status == "refunded" else worth


def _nothing(order: Order, because: str, *, certain: bool = True) -> Worth:
    return Worth("", order.currency, {}, because, certain=certain)


def _refunded(order: Order, worth: Worth | Held) -> Worth:
    """Prefer the refunds by name, for the statement's sake, where they take back the whole credit.

    WooCommerce: deleting a refund leaves the status `refunded`, so the refunds alone do not say it.
    """
    if isinstance(worth, Worth) and worth.effects and sum(worth.effects.values()) == 0:
        return worth
    return _nothing(order, "status refunded takes the credit back")


def _unsettled(order: Order, rules: Rules, because: str, *, disputed: bool) -> Worth:
    """A status that is no last word: only the ledger knows whether there is a credit to keep.

    WooCommerce: `on-hold` is both a bank transfer awaited and a dispute opened by the gateway.
    """
    worth = _guarded(order, rules)
    refunds = None
    if isinstance(worth, Worth) and worth.effects:
        refunds = {name: amount for name, amount in worth.effects.items() if name != DEPOSIT}
    return Worth("", order.currency, {}, because, disputed, disputed, refunds)


def _guarded(order: Order, rules: Rules) -> Worth | Held:
    try:
        return _credit(order, rules)
    except HeldError as error:
        return error.held


def _credit(order: Order, rules: Rules) -> Worth:
    tag = started.tag_of(order, rules.deposit_keys)
    tenant_id = _tenant(order, rules, tag)
    if tenant_id is None:
        return _untagged(order, rules)
    if not is_currency(order.currency) or not _accepts(rules, order.currency):
        raise HeldError(
            HeldReason.CURRENCY_NOT_ACCEPTED,
            f"{order.currency!r} is not an accepted currency; add it to [crediting] currencies, "
            "or refund the order",
        )
    _check_evidence(order, rules)
    basis = _basis(order, rules, tag)
    lines = _amount_lines(order, basis)
    credited = sum(line.amount for line in lines)
    if credited < 0:
        raise HeldError(
            HeldReason.AMOUNT_NEGATIVE,
            f"the order is worth {format_amount(credited, order.currency)}, and a deposit is "
            "positive; correct the order",
        )
    if basis.amount is not AmountRule.TOTAL:
        _check_total(order, credited)
    because = f"status {order.status} credits the {_AMOUNT_NAMES[basis.amount]}"
    targets = _targets(order, basis, credited)
    if tag is not None:
        started.check(order, tag, credited)
        because = f"{because} of {tag.deposit_id}"
        if bonus := bonus_left(tag.bonus, credited, sum(targets.values())):
            targets[BONUS] = bonus
            lines.append(AmountLine("bonus", tag.bonus))
    return Worth(tenant_id, order.currency, targets, because, lines=tuple(lines))


def _check_total(order: Order, credited: int) -> None:
    total = _amount(order, order.total)
    if credited > total:  # WooCommerce: a negative fee lowers the total, and no line
        raise HeldError(
            HeldReason.DEPOSIT_MISMATCH,
            f"the deposit lines say {format_amount(credited, order.currency)}, but "
            f"the whole order is only {format_amount(total, order.currency)}; take the discount "
            "off, or cancel the order and adjust the balance by hand",
        )


def _targets(order: Order, basis: "_Basis", credited: int) -> dict[str, int]:
    """Return the deposit and its refunds."""
    targets = {DEPOSIT: credited} if credited else {}
    for refund in order.refunds if credited else ():
        targets[f"refund/{refund.id}"] = _refund_amount(order, refund, basis, credited)
    if sum(targets.values()) < 0:
        raise HeldError(
            HeldReason.REFUND_EXCEEDS,
            "the refunds add up to more than the order's credit; correct them in WooCommerce",
        )
    return targets


_AMOUNT_NAMES = {
    AmountRule.TOTAL: "order total",
    AmountRule.NET: "order total without tax",
    AmountRule.DEPOSIT_LINES: "deposit lines",
}


def _accepts(rules: Rules, currency: str) -> bool:
    return rules.currencies is None or currency in rules.currencies


class _Basis(NamedTuple):
    """Which part of this order counts: by which rule, and where lines do, which ones."""

    amount: AmountRule
    line_ids: frozenset[int]


def _basis(order: Order, rules: Rules, tag: Tag | None) -> _Basis:
    if tag is not None:
        return _Basis(AmountRule.DEPOSIT_LINES, started.deposit_lines(order, tag))
    if rules.amount is not AmountRule.DEPOSIT_LINES:
        return _Basis(rules.amount, frozenset())
    return _Basis(rules.amount, frozenset(ln.id for ln in order.lines if _is_deposit(ln, rules)))


def _claims(order: Order, rules: Rules, tag: Tag | None) -> list[object]:
    claims: list[object] = [tag.tenant_id] if tag else []
    if TagPlace.ORDER in rules.tag_places:
        claims += order.tags
    if TagPlace.LINES in rules.tag_places:
        claims += [tag for line in order.lines for tag in line.tags]
    if TagPlace.SKU in rules.tag_places and rules.sku_prefix:
        prefix = rules.sku_prefix
        claims += [ln.sku.removeprefix(prefix) for ln in order.lines if ln.sku.startswith(prefix)]
    return claims


def _tenant(order: Order, rules: Rules, tag: Tag | None) -> str | None:
    claims = _claims(order, rules, tag)
    for claim in claims:
        if not is_tenant_id(claim, rules.tenant_pattern):
            raise HeldError(
                HeldReason.TAG_INVALID,
                f"the tag {claim!a:.80} is not a tenant id "
                f"(pattern {rules.tenant_pattern.pattern}); correct {rules.tag_key} on the order",
            )
    if len(set(claims)) > 1:
        raise HeldError(
            HeldReason.TAG_CONFLICT,
            f"the order names several tenants ({', '.join(sorted(map(str, set(claims))))}); "
            f"leave one {rules.tag_key} on it",
        )
    return str(claims[0]) if claims else None


def _untagged(order: Order, rules: Rules) -> Worth:
    if rules.amount is AmountRule.DEPOSIT_LINES and any(
        _is_deposit(ln, rules) for ln in order.lines
    ):
        raise HeldError(
            HeldReason.TAG_MISSING,
            f"the order has a deposit line but no tenant; set {rules.tag_key} on it",
        )
    return _nothing(order, f"no tenant under {rules.tag_key}: not a deposit", certain=False)


def _check_evidence(order: Order, rules: Rules) -> None:
    if not rules.require_evidence or order.status == "refunded":
        return
    offline = order.payment_method in rules.trusted_offline_methods
    if order.paid_at is None or not (order.has_transaction_id or offline):
        raise HeldError(
            HeldReason.EVIDENCE_MISSING,
            "require_evidence asks for a payment date and a gateway reference (or one of "
            "trusted_offline_methods); check that the money arrived, then complete the payment "
            "in WooCommerce or trust the method",
        )


def _amount_lines(order: Order, basis: _Basis) -> list[AmountLine]:
    if basis.amount is AmountRule.DEPOSIT_LINES:
        counted = [line for line in order.lines if line.id in basis.line_ids]
        return [AmountLine(line.name, _paid(order, line)) for line in counted]
    lines = [AmountLine("order total", _amount(order, order.total))]
    if basis.amount is AmountRule.NET:
        lines.append(AmountLine("less tax", -_amount(order, order.total_tax)))
    return lines


def _is_deposit(line: Line, rules: Rules) -> bool:
    if line.kind == "fee":
        return line.name in rules.deposit_fee_names
    by_prefix = bool(rules.sku_prefix) and line.sku.startswith(rules.sku_prefix)
    return (
        line.product_id in rules.deposit_product_ids or line.sku in rules.deposit_skus or by_prefix
    )


def _paid(order: Order, line: Line) -> int:
    return _amount(order, line.total) + _amount(order, line.total_tax)


def _amount(order: Order, text: object) -> int:
    try:
        return parse_amount(text, order.currency)
    except AmountPrecisionError as error:
        reason, remedy = (
            HeldReason.AMOUNT_PRECISION,
            "set the storefront's decimals to the currency's",
        )
        raise HeldError(reason, f"{error}; {remedy}") from error
    except AmountUnreadableError as error:
        raise HeldError(HeldReason.AMOUNT_UNREADABLE, f"{error}; correct the order") from error


def _refund_amount(order: Order, refund: Refund, basis: _Basis, credited: int) -> int:
    """Return a refund's effect, negative: the whole, or the part that falls on the credit."""
    whole, total = _amount(order, refund.total), _amount(order, order.total)
    if whole > 0:
        raise HeldError(
            HeldReason.AMOUNT_UNREADABLE,
            f"refund {refund.id} would add {refund.total}; a refund is negative; correct the order",
        )
    if credited == total:
        return whole
    return -credited if whole == -total else _attributed(order, refund, basis)


def _attributed(order: Order, refund: Refund, basis: _Basis) -> int:
    """Attribute a partial refund by its lines (WooCommerce: `_refunded_item_id`)."""
    parts = [
        (line.line_id, _amount(order, line.total), _amount(order, line.total_tax))
        for line in refund.lines or ()
    ]
    known = {line.id for line in order.lines}
    unclear = basis.amount is AmountRule.DEPOSIT_LINES and any(n not in known for n, _, _ in parts)
    if unclear or sum(net + tax for _, net, tax in parts) != _amount(order, refund.total):
        raise HeldError(
            HeldReason.REFUND_UNATTRIBUTED,
            f"refund {refund.id} does not say which lines it refunds, so its share in the credit "
            "is unknown; refund by line in WooCommerce, or adjust the balance by hand",
        )
    if basis.amount is AmountRule.NET:
        return sum(net for _, net, _ in parts)
    return sum(net + tax for line_id, net, tax in parts if line_id in basis.line_ids)
