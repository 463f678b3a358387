"""Deposits: opened once, by the rules, and ended together with their orders."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bridge.billing.deposits import OPEN_MAX, KeyReusedError
from bridge.domain.clock import DAY, SECOND
from bridge.domain.deposit import (
    DepositClosedError,
    DepositRefusedError,
    Limits,
    Mode,
    Purpose,
    Status,
    Tag,
    Terms,
    read_tag,
)
from bridge.domain.errors import LeaseHeldError
from bridge.domain.signing import unseal
from bridge.sandbox import DROPPED, LOST_ANSWER, PHP_NOTICE, Fault, Request
from bridge.store import payment_requests, reports
from bridge.store.deposits import Deposit, DepositNotFoundError
from bridge.store.payment_requests import PaymentRequestNotFoundError
from bridge.store.reports import TenantNotFoundError
from bridge.storefront.client import Client
from bridge.storefront.errors import StorefrontAnswerError, StorefrontUnavailableError
from tests.billing.conftest import EUR, LINK_KEYS, USD, World, asked
from tests.depositing import KEYS, begin, deposit, kept, payment_request
from tests.examples import NOON
from tests.telling import facts, types

RETURN = "https://core.example.com/done"


def opened(world: World, **fields: Any) -> Deposit:
    made, replayed = world.deposits().open(asked(**fields), create_tenant=True)
    assert not replayed
    return made


def meta(order: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: one["value"] for one in order["meta_data"]}


def test_a_deposit_is_paid_on_the_pay_page_of_an_order_made_for_it(world: World) -> None:
    made = opened(world, metadata='{"seat":"7"}')

    [order] = world.orders()
    assert (order["status"], order["total"], order["currency"]) == ("pending", "50.00", "EUR")
    assert (made.order_id, made.pay_url) == (order["id"], order["payment_url"])
    assert (made.status, made.mode, made.storefront) == (Status.OPEN, Mode.PAY, "main")
    assert (made.amount, made.bonus, made.metadata) == (5000, 0, '{"seat":"7"}')
    assert (made.created_at, made.expires_at) == (NOON, NOON + DAY)
    assert (made.watch_since, made.watch_at) == (NOON, NOON + 2 * SECOND)
    assert world.kept() == [made]


def test_its_order_says_under_our_signature_what_was_promised(world: World) -> None:
    made = opened(world, amount=20_000)

    [order] = world.orders()
    assert meta(order)["_tenant_id"] == "acme"
    tag = read_tag(KEYS, meta(order)["_bridge_deposit"])
    assert tag == Tag(made.deposit_id, "acme", 20_000, "EUR", bonus=1000)
    assert made.bonus == 1000


def test_the_tenant_comes_back_by_bridges_own_way_where_there_is_one(world: World) -> None:
    ours = world.deposits(return_url="https://billing.example.com/billing/return")

    made, _ = ours.open(asked(return_url=RETURN), create_tenant=True)

    way_back = f"https://billing.example.com/billing/return?deposit={made.deposit_id}"
    assert meta(world.orders()[0])["_bridge_return"] == way_back
    assert made.return_url == RETURN


def test_or_else_the_tenant_goes_where_the_core_said(world: World) -> None:
    opened(world, return_url=RETURN)

    assert meta(world.orders()[0])["_bridge_return"] == RETURN


def test_asked_twice_under_one_key_it_is_one_deposit_and_one_order(world: World) -> None:
    first = opened(world)

    assert world.deposits().open(asked(), create_tenant=True) == (first, True)

    assert len(world.orders()) == 1


def test_a_replay_is_answered_whatever_the_rules_say_by_then(world: World) -> None:
    first = opened(world)
    stricter = world.till(terms=Terms(Mode.PAY, DAY, {"EUR": EUR._replace(minimum=9000)}))

    assert world.deposits(stricter).open(asked(), create_tenant=True) == (first, True)


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 5100},
        {"currency": "USD"},
        {"return_url": RETURN},
        {"mode": Mode.CART},
        {"purpose": Purpose(amount=1900)},
        {"metadata": '{"a":"b"}'},
    ],
)
def test_a_key_used_for_something_else_is_refused(other: dict[str, Any], world: World) -> None:
    opened(world)

    with pytest.raises(KeyReusedError) as raised:
        world.deposits().open(asked(**other), create_tenant=True)

    assert raised.value.code == "idempotency_key_reused"
    assert len(world.orders()) == len(world.kept()) == 1


def test_a_key_belongs_to_its_caller_and_tenant(world: World) -> None:
    made = [opened(world), opened(world, caller="portal"), opened(world, tenant_id="globex")]

    assert len({one.deposit_id for one in made}) == len(world.orders()) == 3


@pytest.mark.parametrize("fault", [LOST_ANSWER, PHP_NOTICE], ids=["lost", "notice"])
def test_an_order_whose_answer_was_lost_is_found_and_not_placed_again(
    fault: Fault, world: World
) -> None:
    world.sandbox.faults.switch_on(fault, times=1)

    made = opened(world)

    [order] = world.orders()
    assert made.order_id == order["id"]


def test_after_a_storefront_was_away_the_same_key_opens_the_same_deposit(world: World) -> None:
    world.sandbox.faults.switch_on(DROPPED)
    with pytest.raises(StorefrontUnavailableError):
        opened(world)
    [begun] = world.kept()
    assert (begun.pay_url, begun.order_id) == ("", None)
    world.sandbox.faults.switch_off()

    made = opened(world)

    assert made.deposit_id == begun.deposit_id
    assert made.order_id == world.orders()[0]["id"]


def test_an_order_placed_just_before_the_storefront_went_away_is_the_one_that_is_paid(
    world: World,
) -> None:
    world.sandbox.faults.switch_on(LOST_ANSWER)
    with pytest.raises(StorefrontUnavailableError):
        opened(world)
    world.sandbox.faults.switch_off()

    made = opened(world)

    [order] = world.orders()
    assert made.order_id == order["id"]


def test_twins_at_the_same_time_place_one_order(world: World) -> None:
    placing, go_on = threading.Event(), threading.Event()

    def wait(request: Request) -> None:
        if request.method == "POST":
            placing.set()
            go_on.wait(10)

    world.sandbox.on_request = wait
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(opened, world)
        assert placing.wait(10)
        with pytest.raises(LeaseHeldError):
            world.deposits(holder="another process").open(asked(), create_tenant=True)
        go_on.set()
        made = first.result(10)

    assert world.deposits().open(asked(), create_tenant=True) == (made, True)
    assert len(world.orders()) == 1


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"amount": 400}, r"from 5\.00 EUR to 1000\.00 EUR"),
        ({"amount": 100_100}, r"from 5\.00 EUR to 1000\.00 EUR"),
        ({"amount": -5000}, "from"),
        ({"amount": None}, "from"),
        ({"amount": 5050}, r"multiples of 1\.00 EUR"),
        ({"currency": "USD"}, "'USD' at any storefront; its currencies are: EUR"),
        ({"storefront": "other"}, "at storefront 'other'; its currencies are: none"),
        ({"plan": "basic", "amount": None}, "no plan 'basic'; there are: pro"),
        ({"plan": "pro", "amount": None, "periods": 100}, "from"),
    ],
)
def test_a_deposit_against_the_rules_is_refused_and_leaves_nothing(
    wrong: dict[str, Any], why: str, world: World
) -> None:
    with pytest.raises(DepositRefusedError, match=why):
        world.deposits().open(asked(**wrong), create_tenant=True)

    assert not world.kept()
    assert not world.orders()
    with world.database.read() as tx:
        assert reports.tenants(tx, "", 1) == []


def test_a_plan_is_paid_for_so_many_periods_whatever_the_steps(world: World) -> None:
    made = opened(world, plan="pro", periods=12, amount=None, currency="")

    assert (made.amount, made.currency, made.plan, made.periods) == (23_880, "EUR", "pro", 12)
    assert made.bonus == 1194


def test_no_more_deposits_than_so_many_are_under_way(world: World) -> None:
    begin(world.database, *(deposit(number, amount=100) for number in range(OPEN_MAX)))

    with pytest.raises(DepositRefusedError, match="20 deposits in EUR are under way"):
        opened(world, key="one more")

    assert world.orders() == []


def test_what_is_under_way_counts_towards_the_balance_limit_its_bonus_too(world: World) -> None:
    opened(world, amount=100_000)
    opened(world, key="key-2", amount=42_000)

    with pytest.raises(DepositRefusedError, match=r"would exceed 1500\.00 EUR"):
        opened(world, key="key-3", amount=1000)

    opened(world, key="key-4", amount=900)


def test_an_unknown_tenant_is_created_only_where_that_is_wanted(world: World) -> None:
    with pytest.raises(TenantNotFoundError):
        world.deposits().open(asked(), create_tenant=False)
    assert world.orders() == []

    opened(world)

    with world.database.read() as tx:
        assert reports.tenant(tx, "acme").tenant_id == "acme"


@pytest.mark.parametrize("mode", [Mode.CHECKOUT, Mode.CART])
def test_with_the_plugin_a_signed_link_leads_into_the_cart_and_no_order_is_made(
    mode: Mode, world: World
) -> None:
    made = opened(world, mode=mode, amount=10_000, return_url=RETURN)

    address, _, link = made.pay_url.partition("/?bridge_deposit=")
    values = unseal(LINK_KEYS, link)
    assert address == world.sandbox.url
    assert values is not None
    tag, *others = values
    assert read_tag(KEYS, tag) == Tag(made.deposit_id, "acme", 10_000, "EUR", bonus=500)
    expires_at_s = made.expires_at // SECOND
    wanted = ["100.00", "EUR", expires_at_s, mode, RETURN, "acme", made.deposit_id]
    assert others == wanted
    assert (made.order_id, made.mode) == (None, mode)
    assert not world.sandbox.requests


def test_the_first_storefront_that_takes_the_currency_is_asked_unless_one_is_named(
    world: World,
) -> None:
    abroad = world.till(name="abroad", terms=Terms(Mode.PAY, DAY, {"USD": USD, "EUR": EUR}))
    both = world.deposits(world.till(), abroad)

    places = [
        both.open(asked(key=key, **fields), create_tenant=True)[0].storefront
        for key, fields in {
            "1": {},
            "2": {"currency": "USD"},
            "3": {"storefront": "abroad"},
        }.items()
    ]

    assert places == ["main", "abroad", "abroad"]
    assert both.limits("USD") == USD
    assert both.limits("EUR", "main") == EUR
    with pytest.raises(DepositRefusedError, match="its currencies are: EUR, USD"):
        both.limits("JPY")


def test_a_purpose_is_kept_until_the_deposit_is_credited(world: World) -> None:
    purpose = Purpose(1900, "plan_purchase", "invoice 7")

    made = opened(world, purpose=purpose)

    assert Purpose.from_json(made.purpose) == purpose
    assert made.purpose_status == "pending"
    assert opened(world, key="key-2").purpose_status == ""


def test_a_deposit_may_be_meant_for_the_tenants_own_open_payment_request_only(
    world: World,
) -> None:
    own, globex = payment_request(1), payment_request(2, tenant_id="globex")
    dollars, paid = payment_request(3, currency="USD"), payment_request(4, status="paid")
    with world.database.write() as tx:
        for request in (own, globex, dollars, paid):
            payment_requests.add(tx, request)

    for other in (globex, dollars, paid):
        with pytest.raises(DepositRefusedError, match=f"{other.request_id} is not an open one"):
            opened(world, purpose=Purpose(request_id=other.request_id))
    with pytest.raises(PaymentRequestNotFoundError):
        opened(world, purpose=Purpose(request_id="pay5"))
    assert world.kept() == []

    assert opened(world, purpose=Purpose(request_id=own.request_id)).purpose_status == "pending"


def test_calling_a_deposit_off_cancels_its_order_and_may_be_repeated(world: World) -> None:
    made = opened(world)
    world.clock.advance(60)

    ended = world.deposits().cancel(made.deposit_id)

    assert (ended.status, ended.watch_at) == (Status.CANCELLED, None)
    assert ended.changed_at == world.clock()
    assert world.statuses() == ["cancelled"]
    assert world.deposits().cancel(made.deposit_id) == ended


def test_an_expired_deposit_is_over_and_needs_no_calling_off(world: World) -> None:
    over = deposit(status=Status.EXPIRED)
    begin(world.database, over)

    assert world.deposits().cancel(over.deposit_id) == over
    assert not world.sandbox.requests


@pytest.mark.parametrize("status", [Status.PAID, Status.CREDITED, Status.REVERSED])
def test_a_paid_deposit_cannot_be_called_off(status: Status, world: World) -> None:
    paid = deposit(status=status)
    begin(world.database, paid)

    with pytest.raises(DepositClosedError):
        world.deposits().cancel(paid.deposit_id)

    assert kept(world.database, paid) == paid
    assert not world.sandbox.requests


def test_nor_one_that_only_the_storefront_knows_to_be_paid_which_is_looked_at_soon(
    world: World,
) -> None:
    made = opened(world)
    assert made.order_id is not None
    world.clock.advance(3600)
    world.sandbox.pay(made.order_id)

    with pytest.raises(DepositClosedError):
        world.deposits().cancel(made.deposit_id)

    after = kept(world.database, made)
    assert (after.status, after.watch_at) == (Status.OPEN, world.clock())
    assert world.statuses() == ["completed"]


def test_one_that_waits_for_a_bank_is_called_off_with_its_order(
    world: World,
) -> None:
    made = opened(world)
    assert made.order_id is not None
    world.sandbox.set_status(made.order_id, "on-hold")

    assert world.deposits().cancel(made.deposit_id).status is Status.CANCELLED

    assert world.statuses() == ["cancelled"]


def test_calling_off_what_was_never_quite_opened_finds_its_order(world: World) -> None:
    world.sandbox.faults.switch_on(LOST_ANSWER)
    with pytest.raises(StorefrontUnavailableError):
        opened(world)
    world.sandbox.faults.switch_off()
    [begun] = world.kept()

    assert world.deposits().cancel(begun.deposit_id).status is Status.CANCELLED

    assert world.statuses() == ["cancelled"]
    replayed = world.deposits().open(asked(), create_tenant=True)
    assert replayed == (kept(world.database, begun), True)


def test_a_deposit_is_not_called_off_while_it_is_being_opened(world: World) -> None:
    refused: list[str] = []

    def cancel(request: Request) -> None:
        if request.method == "POST":
            [opening] = world.kept()
            try:
                world.deposits(holder="another process").cancel(opening.deposit_id)
            except LeaseHeldError as error:
                refused.append(error.code)

    world.sandbox.on_request = cancel

    assert opened(world).status is Status.OPEN
    assert refused == ["lease_held"]


def test_while_the_storefront_is_away_a_deposit_is_not_called_off(world: World) -> None:
    made = opened(world)
    world.sandbox.faults.switch_on(DROPPED)

    with pytest.raises(StorefrontUnavailableError):
        world.deposits().cancel(made.deposit_id)

    assert kept(world.database, made) == made


def test_a_link_is_called_off_without_asking_the_storefront(world: World) -> None:
    made = opened(world, mode=Mode.CART)

    assert world.deposits().cancel(made.deposit_id).status is Status.CANCELLED
    assert not world.sandbox.requests


def test_a_deposit_that_does_not_exist_cannot_be_called_off(world: World) -> None:
    with pytest.raises(DepositNotFoundError):
        world.deposits().cancel("depaaaaaaaaaaaaaaaaa")


def test_what_nobody_paid_in_time_expires_with_its_order(world: World) -> None:
    late = opened(world)
    world.clock.advance(3600)
    opened(world, key="key-2")
    assert world.deposits().expire() == 0
    world.clock.now = late.expires_at

    assert world.deposits().expire() == 1

    assert [one.status for one in world.kept()] == [Status.OPEN, Status.EXPIRED]
    assert world.statuses() == ["cancelled", "pending"]
    assert world.deposits().expire() == 0


def test_a_deposit_is_told_of_when_it_is_opened_and_when_it_expires_and_once(world: World) -> None:
    made = opened(world)
    world.deposits().open(asked(), create_tenant=True)
    world.clock.now = made.expires_at
    world.deposits().expire()
    world.deposits().expire()

    first, second = facts(world.database)

    assert types([first, second]) == ["deposit.opened", "deposit.expired"]
    assert first.tenant_id == second.tenant_id == "acme"
    assert first.data["id"] == second.data["id"] == made.deposit_id
    assert (first.data["pay_url"], first.data["waiting_for"]) == (made.pay_url, "payment")
    assert (second.data["status"], second.data["waiting_for"]) == ("expired", None)
    assert "pay_url" not in second.data
    assert second.occurred_at == world.clock()


def test_a_deposit_that_is_called_off_or_could_not_be_opened_is_not_told_of(world: World) -> None:
    world.sandbox.faults.switch_on(DROPPED)
    with pytest.raises(StorefrontUnavailableError):
        opened(world)
    assert facts(world.database) == []
    world.sandbox.faults.switch_off()
    world.deposits().cancel(opened(world).deposit_id)
    assert types(facts(world.database)) == ["deposit.opened"]


@pytest.mark.parametrize("status", ["on-hold", "processing", "completed"])
def test_what_is_paid_or_waits_for_a_bank_does_not_expire_but_is_looked_at(
    status: str, world: World
) -> None:
    made = opened(world)
    assert made.order_id is not None
    world.sandbox.set_status(made.order_id, status)
    world.clock.now = made.expires_at

    assert world.deposits().expire() == 0

    after = kept(world.database, made)
    assert (after.status, after.watch_at) == (Status.OPEN, world.clock())
    assert world.statuses() == [status]


def test_a_storefront_that_is_away_keeps_its_own_deposits_from_expiring_and_no_others(
    world: World, connect: Callable[[str], Client]
) -> None:
    gone = world.till(name="gone", checkout=lambda: connect("http://127.0.0.1:9").checkout)
    both = world.deposits(world.till(), gone)
    late = [
        deposit(1, storefront="gone", order_id=1, pay_url="x"),
        deposit(2, storefront="gone", order_id=2, pay_url="x"),
        deposit(3, storefront="main", pay_url="x", expires_at=NOON + DAY + 1),
    ]
    begin(world.database, *late)
    world.clock.now = NOON + 2 * DAY

    assert both.expire() == 1

    statuses = [kept(world.database, one).status for one in late]
    assert statuses == [Status.OPEN, Status.OPEN, Status.EXPIRED]


def test_a_deposit_of_a_storefront_that_is_not_configured_any_more_expires(world: World) -> None:
    orphan = deposit(storefront="closed-down", order_id=7, pay_url="x")
    begin(world.database, orphan)
    world.clock.now = orphan.expires_at

    assert world.deposits().expire() == 1
    assert kept(world.database, orphan).status is Status.EXPIRED


def test_where_the_storefront_rounds_the_amount_nobody_is_sent_to_pay(world: World) -> None:
    kuwait = Limits("KWD", minimum=1, maximum=100_000)
    rounding = world.deposits(world.till(terms=Terms(Mode.PAY, DAY, {"KWD": kuwait})))

    with pytest.raises(StorefrontAnswerError, match=r"12\.345 KWD"):
        rounding.open(asked(amount=12_345, currency="KWD"), create_tenant=True)

    assert world.kept()[0].pay_url == ""
    assert world.statuses() == ["cancelled"]
