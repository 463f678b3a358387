from collections.abc import Mapping
from typing import Any

import pytest

from bridge.domain.crediting import VANISHED, Worth
from bridge.domain.drift import (
    Finding,
    FindingKind,
    Slot,
    findings,
    is_backward,
    targets,
    waiting_targets,
)
from bridge.domain.wallet import WalletId
from tests.examples import ACME, GLOBEX, on, worth

Slots = Mapping[Slot, int]
USD = WalletId("acme", "USD")
PAID = on(ACME, deposit=5000)
NOTHING = worth({}, tenant_id="")
MAYBE_NOTHING = NOTHING._replace(certain=False)
REFUNDED = worth({"deposit": 5000, "refund/7": -5000})


def disputed(refunds: dict[str, int] | None) -> Worth:
    return worth({}, tenant_id="", disputed=True, refunds=refunds)


@pytest.mark.parametrize(
    ("order_worth", "posted", "wanted"),
    [
        pytest.param(worth(), {}, PAID, id="a credit"),
        pytest.param(worth(), PAID, PAID, id="a credit that was posted"),
        pytest.param(NOTHING, {}, {}, id="nothing, ever"),
        pytest.param(NOTHING, PAID, on(ACME, deposit=0), id="a credit taken back"),
        pytest.param(
            worth({"deposit": 5000, "refund/7": -2000}),
            PAID,
            on(ACME, deposit=5000, refund_7=-2000),
            id="a refund",
        ),
        pytest.param(
            worth(),
            on(ACME, deposit=5000, refund_7=-2000),
            on(ACME, deposit=5000, refund_7=0),
            id="a deleted refund",
        ),
        pytest.param(REFUNDED, {}, {}, id="refunded before it was ever credited"),
        pytest.param(
            REFUNDED, PAID, on(ACME, deposit=5000, refund_7=-5000), id="refunded by its refund"
        ),
        pytest.param(
            worth(tenant_id="globex"),
            PAID,
            on(ACME, deposit=0) | on(GLOBEX, deposit=5000),
            id="another tenant",
        ),
        pytest.param(
            worth(currency="USD"),
            PAID,
            on(ACME, deposit=0) | on(USD, deposit=5000),
            id="another currency",
        ),
        pytest.param(
            REFUNDED._replace(tenant_id="globex"),
            PAID,
            on(ACME, deposit=0),
            id="refunded in full under another tenant",
        ),
        pytest.param(
            worth(),
            on(ACME, deposit=5000, hold_dispute=5000),
            on(ACME, deposit=5000, hold_dispute=0),
            id="a dispute that was won",
        ),
    ],
)
def test_every_effect_an_order_has_or_had_has_a_target(
    order_worth: Worth, posted: Slots, wanted: Slots
) -> None:
    assert targets(order_worth, posted) == wanted


@pytest.mark.parametrize(
    ("order_worth", "posted", "wanted"),
    [
        pytest.param(disputed({}), {}, {}, id="a transfer that is awaited"),
        pytest.param(disputed({}), PAID, on(ACME, deposit=5000, hold_dispute=5000), id="a dispute"),
        pytest.param(
            disputed({"refund/7": -2000}),
            PAID,
            on(ACME, deposit=5000, refund_7=-2000, hold_dispute=3000),
            id="a refund meanwhile",
        ),
        pytest.param(
            disputed({"refund/7": -5000}),
            on(ACME, deposit=5000, hold_dispute=5000),
            on(ACME, deposit=5000, refund_7=-5000, hold_dispute=0),
            id="refunded in full meanwhile",
        ),
        pytest.param(
            disputed({}),
            on(ACME, deposit=5000, refund_7=-2000),
            on(ACME, deposit=5000, refund_7=0, hold_dispute=5000),
            id="a refund deleted meanwhile",
        ),
        pytest.param(
            disputed(None),
            on(ACME, deposit=5000, refund_7=-2000),
            on(ACME, deposit=5000, refund_7=-2000, hold_dispute=3000),
            id="an order that cannot be read keeps its refunds",
        ),
        pytest.param(
            disputed({"refund/7": -8000}),
            PAID,
            on(ACME, deposit=0),
            id="refunds of more than was posted make no debt",
        ),
        pytest.param(
            disputed({}),
            on(GLOBEX, deposit=0) | PAID,
            on(GLOBEX, deposit=0) | on(ACME, deposit=5000, hold_dispute=5000),
            id="the wallet it left long ago is left alone",
        ),
        pytest.param(
            disputed({"refund/7": -1000, "promotion/bonus": 200}),
            on(ACME, deposit=5000, promotion_bonus=250),
            on(ACME, deposit=5000, refund_7=-1000, promotion_bonus=200, hold_dispute=4200),
            id="a bonus is held with its deposit and shrinks with it",
        ),
        pytest.param(
            disputed(None),
            on(ACME, deposit=5000, promotion_bonus=250),
            on(ACME, deposit=5000, promotion_bonus=250, hold_dispute=5250),
            id="a bonus stays as it is where refunds cannot be told",
        ),
    ],
)
def test_a_disputed_order_keeps_what_was_posted_and_holds_what_remains(
    order_worth: Worth, posted: Slots, wanted: Slots
) -> None:
    assert targets(order_worth, posted) == wanted
    settled = targets(order_worth, wanted)
    assert settled == wanted


@pytest.mark.parametrize(
    ("order_worth", "posted", "backward"),
    [
        (MAYBE_NOTHING, PAID, True),
        (MAYBE_NOTHING, {}, False),
        (MAYBE_NOTHING, on(ACME, deposit=0), False),
        (NOTHING, PAID, False),
        (worth(), PAID, False),
        (worth(tenant_id="globex"), PAID, False),
        (disputed({}), PAID, False),
    ],
)
def test_only_an_uncertain_loss_of_something_posted_is_a_backward_step(
    order_worth: Worth, posted: Slots, *, backward: bool
) -> None:
    assert is_backward(order_worth, posted) is backward


def found(order_worth: Worth, posted: Slots, status: str = "completed") -> list[tuple[Any, ...]]:
    return [
        (finding.kind, finding.tenant_id, finding.currency, finding.target, finding.posted)
        for finding in findings("main", 63, status, "", targets(order_worth, posted), posted)
    ]


@pytest.mark.parametrize(
    ("order_worth", "status", "posted", "finding"),
    [
        (worth(), "completed", {}, (FindingKind.PAID_NOT_CREDITED, "acme", "EUR", 5000, 0)),
        (
            worth({"deposit": 5000, "refund/7": -1000}),
            "completed",
            {},
            (FindingKind.PAID_NOT_CREDITED, "acme", "EUR", 4000, 0),
        ),
        (NOTHING, "cancelled", PAID, (FindingKind.CREDITED_NOT_PAID, "acme", "EUR", 0, 5000)),
        (
            worth({"deposit": 10000}),
            "completed",
            PAID,
            (FindingKind.AMOUNT_MISMATCH, "acme", "EUR", 10000, 5000),
        ),
        (
            worth({"deposit": 2000}),
            "completed",
            PAID,
            (FindingKind.AMOUNT_MISMATCH, "acme", "EUR", 2000, 5000),
        ),
        (
            worth(),
            "completed",
            on(ACME, deposit=5000, refund_7=-1000),
            (FindingKind.AMOUNT_MISMATCH, "acme", "EUR", 5000, 4000),
        ),
        (
            worth({"deposit": 5000, "refund/7": -1000}),
            "completed",
            PAID,
            (FindingKind.REFUND_NOT_REVERSED, "acme", "EUR", 4000, 5000),
        ),
        (
            worth({"deposit": 5000, "refund/7": -1000, "promotion/bonus": 200}),
            "completed",
            on(ACME, deposit=5000, promotion_bonus=250),
            (FindingKind.REFUND_NOT_REVERSED, "acme", "EUR", 4200, 5250),
        ),
        (REFUNDED, "refunded", PAID, (FindingKind.REFUND_NOT_REVERSED, "acme", "EUR", 0, 5000)),
        (NOTHING, VANISHED, PAID, (FindingKind.VANISHED, "acme", "EUR", 0, 5000)),
        (
            disputed({}),
            "on-hold",
            PAID,
            (FindingKind.AMOUNT_MISMATCH, "acme", "EUR", 5000, 5000),
        ),
    ],
)
def test_a_drift_is_named(
    order_worth: Worth, status: str, posted: Slots, finding: tuple[Any, ...]
) -> None:
    assert found(order_worth, posted, status) == [finding]


def test_an_order_that_changed_its_tenant_is_found_on_both_wallets() -> None:
    assert found(worth(tenant_id="globex"), PAID) == [
        (FindingKind.CREDITED_NOT_PAID, "acme", "EUR", 0, 5000),
        (FindingKind.PAID_NOT_CREDITED, "globex", "EUR", 5000, 0),
    ]


@pytest.mark.parametrize(
    ("order_worth", "posted", "status"),
    [
        (worth(), PAID, "completed"),
        (NOTHING, {}, "pending"),
        (NOTHING, {}, VANISHED),
        (NOTHING, on(ACME, deposit=0), "cancelled"),
        (REFUNDED, {}, "refunded"),
        (disputed({}), {}, "on-hold"),
        (disputed({}), on(ACME, deposit=5000, hold_dispute=5000), "on-hold"),
    ],
)
def test_where_target_and_posted_agree_nothing_is_found(
    order_worth: Worth, posted: Slots, status: str
) -> None:
    assert found(order_worth, posted, status) == []


def test_a_finding_says_what_convergence_would_post() -> None:
    (finding,) = findings("main", 63, "cancelled", "because", targets(NOTHING, PAID), PAID)
    assert finding == Finding(
        FindingKind.CREDITED_NOT_PAID, "main", 63, "acme", "EUR", 0, 5000, "because"
    )
    assert finding.drift == -5000


@pytest.mark.parametrize(
    ("refunds", "posted", "wanted"),
    [
        pytest.param({}, PAID, PAID, id="the credit stays"),
        pytest.param(
            {"refund/7": -2000}, PAID, on(ACME, deposit=5000, refund_7=-2000), id="a refund counts"
        ),
        pytest.param({"refund/7": -8000}, PAID, on(ACME, deposit=0), id="but makes no debt"),
        pytest.param(
            {},
            on(ACME, deposit=5000, hold_dispute=5000),
            on(ACME, deposit=5000, hold_dispute=5000),
            id="a dispute stays too",
        ),
        pytest.param(
            {"refund/7": -2000},
            on(ACME, deposit=5000, hold_dispute=5000),
            on(ACME, deposit=5000, refund_7=-2000, hold_dispute=3000),
            id="but holds no more than refunds leave",
        ),
        pytest.param(
            {"refund/7": -8000},
            on(ACME, deposit=5000, hold_dispute=5000),
            on(ACME, deposit=0, hold_dispute=0),
            id="and nothing where they leave nothing",
        ),
    ],
)
def test_while_a_step_back_waits_all_stays_but_refunds_count(
    refunds: dict[str, int], posted: Slots, wanted: Slots
) -> None:
    order_worth = worth({}, tenant_id="", certain=False, refunds=refunds)
    assert waiting_targets(order_worth, posted) == wanted
