"""What an order is worth: every recorded order by table, then the rules one by one."""

import re
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.crediting import (
    AmountLine,
    AmountRule,
    Rules,
    TagPlace,
    Worth,
    effects,
)
from bridge.domain.deposit import Tag
from bridge.domain.held import Held, HeldReason
from bridge.domain.order import Line, Order, Refund, RefundLine
from bridge.domain.signing import derived
from bridge.storefront import parse
from tests.examples import line, order, refunded
from tests.recordings import body, names

DEFAULT = Rules()
NET = Rules(amount=AmountRule.NET)
LINES = Rules(amount=AmountRule.DEPOSIT_LINES, deposit_skus=frozenset({"DEPOSIT-50"}))
MULTILINE = "order-completed-multiline-coupon-tax-shipping-fee"


def recorded(name: str, **fields: Any) -> Order:
    row = body(name)
    read = parse.order(row, "main", "_tenant_id", fetched_at=0)
    assert isinstance(read, Order)
    if row["refunds"] and name == "order-completed-partially-refunded":
        read = read._replace(refunds=parse.refunds(body("rest-list-order-refunds"), read))
    return read._replace(**fields)


def credited(order: Order, rules: Rules = DEFAULT) -> Worth:
    worth = effects(order, rules)
    assert isinstance(worth, Worth), worth
    return worth


def targets(order: Order, rules: Rules = DEFAULT) -> dict[str, int]:
    return dict(credited(order, rules).effects)


def held(order: Order, rules: Rules = DEFAULT) -> Held:
    answer = effects(order, rules)
    assert isinstance(answer, Held), answer
    return answer


def reason(order: Order, rules: Rules = DEFAULT) -> HeldReason:
    return held(order, rules).reason


class Row(NamedTuple):
    """What a recorded order is worth by the default rules."""

    tenant_id: str = ""
    currency: str = "EUR"
    effects: dict[str, int] = {}  # noqa: RUF012 # never written to
    certain: bool = True
    disputed: bool = False


def worth_to(tenant_id: str, currency: str, **amounts: int) -> Row:
    return Row(
        tenant_id, currency, {name.replace("_", "/"): amount for name, amount in amounts.items()}
    )


WAITS = Row(certain=False)  # a status that does not credit, or no tenant: worth nothing, perhaps
GONE = Row()


AWAITED = Row(disputed=True)  # on-hold: worth nothing, unless it was credited before


RECORDED: dict[str, Row | HeldReason] = {
    "order-checkout-free": WAITS,
    "order-checkout-guest_bacs": AWAITED,
    "order-checkout-guest_cod": WAITS,
    "order-checkout-registered": WAITS,
    "order-classic-checkout-cod": WAITS,
    "order-companion-block": AWAITED,
    "order-companion-classic": AWAITED,
    "order-completed-JPY-5000": worth_to("acme", "JPY", deposit=5000),
    "order-completed-KWD-12.345": worth_to("acme", "KWD", deposit=12350),
    "order-completed-USD-50.00": worth_to("acme", "USD", deposit=5000),
    MULTILINE: worth_to("acme", "EUR", deposit=11780),
    "order-completed-partially-refunded": worth_to(
        "acme", "EUR", deposit=5000, refund_27=-1000, refund_28=-1550
    ),
    "order-completed-storeJPY-decimals0-5000": worth_to("acme", "JPY", deposit=5000),
    "order-completed-tagged-on-line-items": HeldReason.TAG_CONFLICT,
    "order-completed-untagged": WAITS,
    "order-from-add-to-cart-11-quantity-30": WAITS,
    "order-from-checkout-add-to-cart-11-quantity-1-price-999": WAITS,
    "order-from-checkout-add-to-cart-11-quantity-12-5": WAITS,
    "order-from-checkout-add-to-cart-11-quantity-31": WAITS,
    "order-from-checkout-link-products-11-25-coupon-tenant-acme": WAITS,
    "order-from-checkout-link-products-560-7-utm-source-bridge-utm-content-acme": WAITS,
    "order-onhold-bacs-after-orderpay": AWAITED,
    "order-payment_complete-fee-line-only": worth_to("acme", "EUR", deposit=2000),
    "order-payment_complete-virtual+downloadable": worth_to("acme", "EUR", deposit=500),
    "order-payment_complete-virtual-only": WAITS,
    "order-status-auto-draft": WAITS,
    "order-status-cancelled": GONE,
    "order-status-checkout-draft": WAITS,
    "order-status-completed": worth_to("acme", "EUR", deposit=5000),
    "order-status-failed": GONE,
    "order-status-on-hold": AWAITED,
    "order-status-pending": WAITS,
    "order-status-processing": WAITS,
    "order-status-refunded": worth_to("acme", "EUR", deposit=5000, refund_72=-5000),
    "order-status-trash": GONE,
}


def test_every_recorded_order_has_a_row_in_the_table() -> None:
    assert sorted(RECORDED) == names("order-")


@pytest.mark.parametrize(("name", "row"), RECORDED.items(), ids=RECORDED)
def test_a_recorded_order_is_worth_what_the_table_says(name: str, row: Row | HeldReason) -> None:
    answer = effects(recorded(name), DEFAULT)
    if isinstance(answer, Held):
        assert answer.reason == row
    else:
        assert Row(answer.tenant_id, answer.currency, dict(answer.effects), *answer[4:6]) == row, (
            answer.because
        )


# Amounts


@pytest.mark.parametrize(
    ("rules", "deposit"),
    [
        (DEFAULT, 11780),
        (NET, 11780 - 1214),
        (LINES, 4499),
        (LINES._replace(deposit_skus=frozenset(), deposit_product_ids=frozenset({12})), 4499),
        (LINES._replace(deposit_product_ids=frozenset({12})), 4499),
        (LINES._replace(deposit_product_ids=frozenset({14})), 4499 + 19 + 4),
        (LINES._replace(deposit_skus=frozenset(), sku_prefix="DEPOSIT-"), 4499),
        (LINES._replace(deposit_fee_names=frozenset({"Handling"})), 4499 + 150 + 30),
    ],
)
def test_the_rule_says_which_part_of_a_mixed_order_counts(rules: Rules, deposit: int) -> None:
    mixed = recorded(MULTILINE)
    named = [ln._replace(name="Handling") if ln.kind == "fee" else ln for ln in mixed.lines]
    worth = credited(mixed._replace(lines=tuple(named)), rules)
    assert worth.effects == {"deposit": deposit}
    assert sum(part.amount for part in worth.lines) == deposit


def test_an_order_without_a_deposit_line_is_worth_nothing_where_only_those_count() -> None:
    rules = LINES._replace(deposit_skus=frozenset({"OTHER"}))
    assert targets(recorded(MULTILINE), rules) == {}


def test_a_fee_counts_by_its_name_only() -> None:
    rules = LINES._replace(deposit_skus=frozenset({""}), deposit_product_ids=frozenset({0}))
    fee = line(kind="fee", name="Deposit acme", product_id=0, sku="")
    assert targets(order(lines=(fee,)), rules) == {}
    by_name = rules._replace(deposit_fee_names=frozenset({"Deposit acme"}))
    assert targets(order(lines=(fee,)), by_name) == {"deposit": 5000}


@pytest.mark.parametrize(
    ("total", "currency", "why"),
    [
        ("5000.40", "JPY", HeldReason.AMOUNT_PRECISION),
        ("50.001", "EUR", HeldReason.AMOUNT_PRECISION),
        ("50,00", "EUR", HeldReason.AMOUNT_UNREADABLE),
        ("", "EUR", HeldReason.AMOUNT_UNREADABLE),
        (50.0, "EUR", HeldReason.AMOUNT_UNREADABLE),
        (50, "EUR", HeldReason.AMOUNT_UNREADABLE),
        (None, "EUR", HeldReason.AMOUNT_UNREADABLE),
        (["50.00"], "EUR", HeldReason.AMOUNT_UNREADABLE),
        ("99999999999999999999", "EUR", HeldReason.AMOUNT_UNREADABLE),
        ("-5.00", "EUR", HeldReason.AMOUNT_NEGATIVE),
        ("50.00", "BTC", HeldReason.CURRENCY_NOT_ACCEPTED),
        ("50.00", "eur", HeldReason.CURRENCY_NOT_ACCEPTED),
        ("50.00", "", HeldReason.CURRENCY_NOT_ACCEPTED),
    ],
)
def test_an_amount_that_cannot_be_trusted_holds_the_order(
    total: Any, currency: str, why: HeldReason
) -> None:
    assert reason(order(total=total, currency=currency)) == why


def test_a_total_of_zero_is_worth_nothing_and_keeps_its_tenant() -> None:
    worth = credited(order(total="0.00", refunds=refunded("0.00")))
    assert (worth.effects, worth.tenant_id, worth.certain) == ({}, "acme", True)


def test_only_the_configured_currencies_are_accepted() -> None:
    rules = Rules(currencies=frozenset({"EUR", "USD"}))
    assert targets(recorded("order-completed-USD-50.00"), rules) == {"deposit": 5000}
    refused = held(recorded("order-completed-JPY-5000"), rules)
    assert refused.reason == HeldReason.CURRENCY_NOT_ACCEPTED
    assert "'JPY' is not an accepted currency; add it to [crediting] currencies" in refused.because


# Statuses and gateways


@pytest.mark.parametrize(
    "status", ["pending", "processing", "auto-draft", "checkout-draft", "shipped", "", "COMPLETED"]
)
def test_any_other_status_credits_nothing_but_may_be_a_slip(status: str) -> None:
    worth = credited(order(status=status))
    assert (worth.effects, worth.certain, worth.disputed) == ({}, False, False)


@pytest.mark.parametrize("status", ["cancelled", "failed", "trash", "vanished"])
def test_a_negative_status_takes_the_credit_back_at_once_whatever_else_is_wrong(
    status: str,
) -> None:
    for odd in (order(), order(tags=("acme", "globex")), order(total="x"), order(currency="?")):
        worth = credited(odd._replace(status=status))
        assert (worth.effects, worth.certain) == ({}, True)


def test_a_custom_status_credits_where_the_configuration_says_so() -> None:
    rules = Rules(statuses=frozenset({"completed", "shipped"}))
    assert targets(order(status="shipped"), rules) == {"deposit": 5000}
    assert targets(order(status="processing"), rules) == {}


def test_a_gateway_may_credit_earlier_than_the_others() -> None:
    rules = Rules(gateway_statuses={"cod": frozenset({"processing", "completed"})})
    cod = recorded("order-classic-checkout-cod", tags=("acme",))
    assert targets(cod, rules) == {"deposit": 5000}
    assert targets(cod._replace(payment_method="bacs"), rules) == {}
    assert targets(cod._replace(payment_method="bacs", status="completed"), rules) != {}


def test_a_gateway_may_credit_later_than_the_others() -> None:
    rules = Rules(gateway_statuses={"cheque": frozenset({"cleared"})})
    assert targets(order(payment_method="cheque"), rules) == {}
    assert targets(order(payment_method="cheque", status="cleared"), rules) == {"deposit": 5000}


@pytest.mark.parametrize("statuses", [{"completed"}, {"completed", "on-hold", "cancelled"}])
def test_on_hold_and_cancelled_never_credit_whatever_is_configured(statuses: set[str]) -> None:
    rules = Rules(statuses=frozenset(statuses))
    assert credited(order(status="on-hold"), rules).disputed
    assert targets(order(status="cancelled"), rules) == {}


def test_an_order_on_hold_tells_its_refunds_and_that_it_is_disputed() -> None:
    worth = credited(order(status="on-hold", refunds=refunded("10.00")))
    assert (worth.tenant_id, worth.disputed, worth.certain) == ("", True, True)
    assert (worth.effects, worth.refunds) == ({}, {"refund/101": -1000})
    unreadable = credited(order(status="on-hold", total="x"))
    assert (unreadable.refunds, unreadable.disputed) == (None, True)


def test_an_order_that_stepped_back_tells_its_refunds_since_they_count_at_once() -> None:
    worth = credited(order(status="processing", refunds=refunded("10.00")))
    assert (worth.effects, worth.refunds) == ({}, {"refund/101": -1000})


# Evidence


@pytest.mark.parametrize(
    ("fields", "credits_it"),
    [
        ({"payment_method": "bacs"}, True),
        ({"payment_method": "stripe", "has_transaction_id": True}, True),
        ({"payment_method": "stripe"}, False),
        ({"payment_method": ""}, False),
        ({"payment_method": "bacs", "paid_at": None}, False),
        ({"payment_method": "stripe", "has_transaction_id": True, "paid_at": None}, False),
    ],
)
def test_evidence_is_a_payment_date_and_a_reference_or_a_trusted_method(
    fields: dict[str, Any], *, credits_it: bool
) -> None:
    rules = Rules(require_evidence=True)
    if credits_it:
        assert targets(order(**fields), rules) == {"deposit": 5000}
    else:
        assert reason(order(**fields), rules) == HeldReason.EVIDENCE_MISSING
    assert targets(order(**fields)) == {"deposit": 5000}


def test_a_refunded_order_needs_no_evidence_to_be_reversed() -> None:
    rules = Rules(require_evidence=True)
    unpaid = order(status="refunded", paid_at=None, refunds=refunded("50.00"))
    assert sum(targets(unpaid, rules).values()) == 0
    assert credited(unpaid, rules).certain


# Tags


@pytest.mark.parametrize(
    "tag",
    [
        *[7, 7.5, True, {"id": "acme"}, ["acme"], {}, 0, False],
        *[" acme", "acme ", " ", "ac me", "acme\n", "acme\x00", "acme/../globex"],
        *[
            "\u0430cme",
            "\uff41cme",
            "acmé",
            "\u202eemca",
            "acme\u200b",
            "\ud800",
            "x" * 129,
            "-acme",
        ],
    ],
    ids=ascii,
)
def test_a_tag_that_is_no_tenant_id_holds_the_order_and_is_never_mended(tag: object) -> None:
    answer = held(order(tags=(tag,)))
    assert answer.reason == HeldReason.TAG_INVALID
    assert answer.because.isascii()
    assert "correct _tenant_id on the order" in answer.because
    assert reason(order(tags=("acme", tag))) == HeldReason.TAG_INVALID


def test_a_huge_tag_is_not_repeated_in_full() -> None:
    assert len(held(order(tags=("x" * 100_000,))).because) < 300


def test_a_number_sent_as_text_is_a_tenant_id() -> None:
    assert credited(order(tags=("123",))).tenant_id == "123"


def test_the_same_tag_twice_is_one_tenant() -> None:
    same = order(tags=("acme", "acme"), lines=(line(1, tags=("acme",)), line(2)))
    assert credited(same).tenant_id == "acme"


@pytest.mark.parametrize(
    "fields",
    [
        {"tags": ("acme", "globex")},
        {"tags": ("acme", "Acme")},
        {"tags": ("acme",), "lines": (line(tags=("globex",)),)},
        {"tags": (), "lines": (line(1, tags=("acme",)), line(2, tags=("globex",)))},
    ],
)
def test_two_different_tags_hold_the_order(fields: dict[str, Any]) -> None:
    answer = held(order(**fields))
    assert answer.reason == HeldReason.TAG_CONFLICT
    assert "leave one _tenant_id on it" in answer.because


def test_tags_are_read_only_where_the_configuration_looks() -> None:
    both = order(tags=("acme",), lines=(line(tags=("globex",)),))
    in_order = Rules(tag_places=frozenset({TagPlace.ORDER}))
    in_lines = Rules(tag_places=frozenset({TagPlace.LINES}))
    assert credited(both, in_order).tenant_id == "acme"
    assert credited(both, in_lines).tenant_id == "globex"


BY_SKU = Rules(tag_places=frozenset({TagPlace.ORDER, TagPlace.SKU}), sku_prefix="DEPOSIT:")


@pytest.mark.parametrize(
    ("sku", "tenant_id"), [("DEPOSIT:acme", "acme"), ("DEPOSIT-50", ""), ("deposit:acme", "")]
)
def test_a_sku_with_the_prefix_names_the_tenant(sku: str, tenant_id: str) -> None:
    assert credited(order(tags=(), lines=(line(sku=sku),)), BY_SKU).tenant_id == tenant_id


def test_a_recorded_order_of_the_tenants_own_product_is_credited_by_its_sku() -> None:
    name = "order-from-checkout-link-products-560-7-utm-source-bridge-utm-content-acme"
    worth = credited(recorded(name, status="completed"), BY_SKU)
    assert (worth.tenant_id, worth.effects) == ("acme", {"deposit": 700})


def test_a_sku_names_a_tenant_as_strictly_as_a_tag() -> None:
    assert reason(order(tags=(), lines=(line(sku="DEPOSIT:"),)), BY_SKU) == HeldReason.TAG_INVALID
    assert reason(order(lines=(line(sku="DEPOSIT:globex"),)), BY_SKU) == HeldReason.TAG_CONFLICT
    two = (line(1, sku="DEPOSIT:acme"), line(2, sku="DEPOSIT:globex"))
    assert reason(order(tags=(), lines=two), BY_SKU) == HeldReason.TAG_CONFLICT
    unread = BY_SKU._replace(tag_places=frozenset({TagPlace.ORDER}))
    assert targets(order(tags=(), lines=two), unread) == {}


def test_without_a_prefix_no_sku_names_a_tenant() -> None:
    rules = BY_SKU._replace(sku_prefix="")
    assert targets(order(tags=(), lines=(line(sku="acme"),)), rules) == {}


def test_a_deposit_line_without_a_tenant_is_held_where_deposit_lines_are_known() -> None:
    assert reason(recorded("order-completed-untagged"), LINES) == HeldReason.TAG_MISSING
    assert targets(order(tags=(), lines=(line(sku="TSHIRT", product_id=13),)), LINES) == {}


def test_the_configured_pattern_decides_what_a_tenant_id_is() -> None:
    rules = Rules(tenant_pattern=re.compile(r"t-[0-9]+"))
    assert credited(order(tags=("t-7",)), rules).tenant_id == "t-7"
    assert reason(order(), rules) == HeldReason.TAG_INVALID


# Refunds


def by_lines(refund_id: int, total: str, *parts: tuple[int, str, str]) -> Refund:
    return Refund(refund_id, total, tuple(RefundLine(*part) for part in parts))


@pytest.mark.parametrize("status", ["completed", "refunded"])
def test_refunds_that_take_it_all_are_named_one_by_one(status: str) -> None:
    """WooCommerce: going back from refunded to completed keeps the refund."""
    both = order(status=status, refunds=refunded("20.00", "30.00"))
    assert targets(both) == {"deposit": 5000, "refund/101": -2000, "refund/102": -3000}
    assert credited(both).certain


def test_a_partial_refund_that_was_deleted_is_no_effect_any_more() -> None:
    assert targets(order(refunds=refunded("20.00"))) == {"deposit": 5000, "refund/101": -2000}
    assert targets(order(refunds=())) == {"deposit": 5000}


@pytest.mark.parametrize("refunds", [(), refunded("10.00"), refunded("40.00", "40.00")])
def test_a_refunded_order_is_worth_nothing_whatever_its_refunds_say(
    refunds: tuple[Refund, ...],
) -> None:
    """WooCommerce: deleting a full refund leaves the status `refunded`."""
    worth = credited(order(status="refunded", refunds=refunds))
    assert (worth.effects, worth.certain) == ({}, True)


@pytest.mark.parametrize(
    "fields", [{"tags": ()}, {"tags": ("a", "b")}, {"total": "x"}, {"currency": "BTC"}]
)
def test_a_refunded_order_is_worth_nothing_even_where_it_would_be_held(
    fields: dict[str, Any],
) -> None:
    worth = credited(order(status="refunded", **fields))
    assert (sum(worth.effects.values()), worth.certain) == (0, True)


def test_refunds_of_more_than_the_order_hold_it() -> None:
    """A total edited down after a refund: nobody should guess who owes whom."""
    assert reason(order(total="20.00", refunds=refunded("20.01"))) == HeldReason.REFUND_EXCEEDS
    assert targets(order(total="20.00", refunds=refunded("20.00")))["refund/101"] == -2000


@pytest.mark.parametrize("total", ["10.00", "1e3", 10, None, "-10,00"])
def test_a_refund_that_is_not_a_negative_amount_holds_the_order(total: Any) -> None:
    odd = order(refunds=(Refund(7, total, None),))
    assert reason(odd) == HeldReason.AMOUNT_UNREADABLE


def test_a_refund_of_deposit_lines_falls_on_the_credit_by_its_lines() -> None:
    shirt = by_lines(7, "-21.59", (105, "-17.99", "-3.60"))
    part = by_lines(8, "-10.00", (104, "-10.00", "0.00"))
    both = by_lines(9, "-6.80", (104, "-5.00", "0.00"), (108, "-1.50", "-0.30"))
    worth = targets(recorded(MULTILINE, refunds=(shirt, part, both)), LINES)
    assert worth == {"deposit": 4499, "refund/7": 0, "refund/8": -1000, "refund/9": -500}


def test_a_refund_falls_on_a_net_credit_without_its_tax() -> None:
    shirt = by_lines(7, "-21.59", (105, "-17.99", "-3.60"))
    assert targets(recorded(MULTILINE, refunds=(shirt,)), NET) == {
        "deposit": 10566,
        "refund/7": -1799,
    }


@pytest.mark.parametrize("rules", [NET, LINES])
def test_a_refund_of_the_whole_order_takes_the_whole_credit_lines_or_not(rules: Rules) -> None:
    whole = Refund(7, "-117.80", ())
    worth = targets(recorded(MULTILINE, refunds=(whole,)), rules)
    assert worth["refund/7"] == -worth["deposit"]


@pytest.mark.parametrize("rules", [NET, LINES])
@pytest.mark.parametrize(
    "lines",
    [None, (), (RefundLine(104, "-9.00", "0.00"),), (RefundLine(0, "-5.00", "0.00"),)],
)
def test_a_refund_that_does_not_add_up_by_its_lines_holds_an_order_that_counts_in_part(
    rules: Rules, lines: tuple[RefundLine, ...] | None
) -> None:
    partial = recorded(MULTILINE, refunds=(Refund(7, "-10.00", lines),))
    answer = held(partial, rules)
    assert answer.reason == HeldReason.REFUND_UNATTRIBUTED
    assert "refund 7 does not say which lines it refunds" in answer.because
    assert targets(partial) == {"deposit": 11780, "refund/7": -1000}


@pytest.mark.parametrize("rules", [NET, LINES])
def test_an_amount_only_refund_is_clear_where_the_whole_order_counts(rules: Rules) -> None:
    only = order(lines=(line(),), refunds=refunded("10.00"))
    assert targets(only, rules) == {"deposit": 5000, "refund/101": -1000}


@pytest.mark.parametrize("line_id", [0, 999])
def test_a_refund_of_a_line_that_the_order_does_not_have_is_not_taken_for_other_goods(
    line_id: int,
) -> None:
    astray = by_lines(7, "-10.00", (104, "-5.00", "0.00"), (line_id, "-5.00", "0.00"))
    assert reason(recorded(MULTILINE, refunds=(astray,)), LINES) == HeldReason.REFUND_UNATTRIBUTED
    assert targets(recorded(MULTILINE, refunds=(astray,)), NET)["refund/7"] == -1000


def test_two_equal_parts_of_a_refund_both_count() -> None:
    twice = by_lines(7, "-10.00", (104, "-5.00", "0.00"), (104, "-5.00", "0.00"))
    assert targets(recorded(MULTILINE, refunds=(twice,)), LINES)["refund/7"] == -1000


# The rules themselves


OTHER_RULES: dict[str, Any] = {
    "statuses": frozenset({"completed", "processing"}),
    "gateway_statuses": {"cod": frozenset({"processing"})},
    "amount": AmountRule.NET,
    "deposit_product_ids": frozenset({12}),
    "deposit_skus": frozenset({"DEPOSIT-50"}),
    "deposit_fee_names": frozenset({"Deposit"}),
    "tag_key": "_tenant",
    "tag_places": frozenset({TagPlace.ORDER}),
    "sku_prefix": "DEPOSIT:",
    "tenant_pattern": re.compile("[a-z]+"),
    "currencies": frozenset({"EUR"}),
    "require_evidence": True,
    "trusted_offline_methods": frozenset({"bacs"}),
}


@pytest.mark.parametrize(("field", "value"), OTHER_RULES.items(), ids=OTHER_RULES)
def test_the_fingerprint_of_the_rules_changes_with_every_one(field: str, value: Any) -> None:
    assert Rules(**{field: value}).fingerprint() != Rules().fingerprint()


def test_every_rule_is_in_that_table() -> None:
    assert set(OTHER_RULES) == set(Rules._fields) - {"deposit_keys"}


def test_equal_rules_have_equal_fingerprints_whatever_their_order() -> None:
    gateways = {"cod": frozenset("ab"), "bacs": frozenset("cd")}
    turned = dict(reversed(gateways.items()))
    first, second = Rules(gateway_statuses=gateways), Rules(gateway_statuses=turned)
    assert first.fingerprint() == second.fingerprint()
    assert "frozenset" not in first.fingerprint()  # whose order is another in every process


def test_refund_lines_are_needed_where_a_part_of_the_order_counts() -> None:
    whole = order()
    needs = [rules.needs_refund_lines(whole) for rules in (DEFAULT, NET, LINES)]
    assert needs == [False, True, True]
    for tagged in (order(seals=("seal",)), order(lines=(line(seals=("seal",)),))):
        assert DEFAULT.needs_refund_lines(tagged)


# Deposits that bridge started

TAG = Tag("dep1", "acme", 5000, "EUR", 250)
SIGNED = Rules(deposit_keys=derived(["a secret"], "deposit-tag/main"))


def sealed(**fields: Any) -> str:
    return TAG._replace(**fields).sealed(SIGNED.deposit_keys)


def fee(**fields: Any) -> Line:
    """The fee by which bridge puts a deposit on an order."""
    return line(kind="fee", name="Deposit dep1", product_id=0, sku="")._replace(**fields)


def started(**fields: Any) -> Order:
    """An order as bridge places it."""
    return order(lines=(fee(),), seals=(sealed(),))._replace(**fields)


def test_a_signed_deposit_is_credited_with_the_bonus_that_was_promised() -> None:
    worth = credited(started(), SIGNED)
    assert (worth.tenant_id, worth.currency) == ("acme", "EUR")
    assert worth.effects == {"deposit": 5000, "promotion/bonus": 250}
    assert worth.lines == (AmountLine("Deposit dep1", 5000), AmountLine("bonus", 250))
    assert worth.because == "status completed credits the deposit lines of dep1"


def test_a_signed_line_needs_no_tag_beside_it() -> None:
    by_link = started(tags=(), seals=(), lines=(line(seals=(sealed(),)),))
    assert targets(by_link, SIGNED) == {"deposit": 5000, "promotion/bonus": 250}


def test_without_a_promise_there_is_no_bonus() -> None:
    assert targets(started(seals=(sealed(bonus=0),)), SIGNED) == {"deposit": 5000}


@pytest.mark.parametrize("rule", AmountRule)
def test_only_the_deposits_own_lines_count_whatever_the_rule_for_others(rule: AmountRule) -> None:
    mixed = started(total="59.00", lines=(fee(), line(2, total="9.00")))
    rules = SIGNED._replace(amount=rule, deposit_skus=frozenset({"DEPOSIT-50"}))
    assert targets(mixed, rules) == {"deposit": 5000, "promotion/bonus": 250}


OTHERS_SEAL = TAG.sealed(derived(["a secret"], "deposit-tag/eu"))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"seals": ("edited",)}, HeldReason.DEPOSIT_TAG_INVALID, id="edited"),
        pytest.param({"seals": ({"a": 1},)}, HeldReason.DEPOSIT_TAG_INVALID, id="no text"),
        pytest.param({"seals": (OTHERS_SEAL,)}, HeldReason.DEPOSIT_TAG_INVALID, id="another's"),
        pytest.param(
            {"seals": (sealed(), sealed(deposit_id="dep2"))},
            HeldReason.DEPOSIT_TAG_INVALID,
            id="two deposits",
        ),
        pytest.param(
            {"lines": (fee(seals=(sealed(bonus=5000),)),)},
            HeldReason.DEPOSIT_TAG_INVALID,
            id="another on the line",
        ),
        pytest.param({"tags": ("globex",)}, HeldReason.TAG_CONFLICT, id="another tenant beside"),
        pytest.param({"currency": "USD"}, HeldReason.DEPOSIT_MISMATCH, id="another currency"),
        pytest.param(
            {"lines": (fee(total="49.99"),)}, HeldReason.DEPOSIT_MISMATCH, id="less was paid"
        ),
        pytest.param(
            {"lines": (fee(total="50.01"),)}, HeldReason.DEPOSIT_MISMATCH, id="more was paid"
        ),
        pytest.param(
            {"lines": (fee(total_tax="0.01"),)}, HeldReason.DEPOSIT_MISMATCH, id="tax on top"
        ),
        pytest.param(
            {"lines": (fee(name="Service"),)}, HeldReason.DEPOSIT_MISMATCH, id="no such line"
        ),
        pytest.param({"lines": ()}, HeldReason.DEPOSIT_MISMATCH, id="no line at all"),
    ],
)
def test_a_signed_order_that_says_otherwise_is_held(
    fields: dict[str, Any], reason: HeldReason
) -> None:
    assert held(started(**fields), SIGNED).reason == reason


def test_a_signed_order_is_held_where_no_key_is_known() -> None:
    assert reason(started()) == HeldReason.DEPOSIT_TAG_INVALID


def test_the_same_tag_on_order_and_line_is_one_deposit() -> None:
    twice = started(lines=(fee(seals=(sealed(),)),))
    assert targets(twice, SIGNED) == {"deposit": 5000, "promotion/bonus": 250}


def test_a_key_that_was_replaced_still_verifies() -> None:
    rotated = SIGNED._replace(
        deposit_keys=derived(["a new secret", "a secret"], "deposit-tag/main")
    )
    assert targets(started(), rotated) == targets(started(), SIGNED)
    assert rotated.fingerprint() == SIGNED.fingerprint()


def test_a_cancelled_deposit_loses_its_bonus_whole() -> None:
    assert targets(started(status="cancelled"), SIGNED) == {}


def test_a_disputed_deposit_keeps_what_refunds_left_of_its_bonus() -> None:
    disputed = credited(started(status="on-hold", refunds=refunded("10.00")), SIGNED)
    assert disputed.refunds == {"refund/101": -1000, "promotion/bonus": 200}


@given(st.lists(st.integers(1, 5000), max_size=8), st.integers(0, 10_000), st.randoms())
def test_refunds_take_the_bonus_back_in_proportion_in_whatever_order_they_come(
    amounts: list[int], bonus: int, chance: Random
) -> None:
    refunds = refunded(*(f"{amount / 100:.2f}" for amount in fitting(amounts)))
    shuffled = chance.sample(refunds, len(refunds))
    left = 5000 - sum(fitting(amounts))
    for some in (refunds, tuple(shuffled)):
        signed = started(seals=(sealed(bonus=bonus),), refunds=some)
        assert targets(signed, SIGNED).get("promotion/bonus", 0) == bonus * left // 5000
        assert left or sum(targets(signed, SIGNED).values()) == 0


def fitting(amounts: list[int]) -> list[int]:
    """As many of the refunds as fit 50.00, and the rest as the last, so that often all is back."""
    sums = list(accumulate(amounts))
    taken = [amount for amount, total in zip(amounts, sums, strict=True) if total <= 5000]
    return [*taken, 5000 - sum(taken)] if len(taken) < len(amounts) and sum(taken) < 5000 else taken


@pytest.mark.parametrize(
    ("discounted", "rules"), [(started(total="0.01"), SIGNED), (order(total="0.01"), LINES)]
)
def test_deposit_lines_that_a_negative_fee_paid_for_are_held(
    discounted: Order, rules: Rules
) -> None:
    """WooCommerce: a negative fee lowers the order's total, and no line."""
    lines = discounted.lines or (line(),)
    held = effects(discounted._replace(lines=lines), rules)
    assert isinstance(held, Held)
    assert held.reason is HeldReason.DEPOSIT_MISMATCH
    assert "0.01" in held.because
