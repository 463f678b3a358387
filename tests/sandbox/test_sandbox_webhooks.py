"""Webhooks: what is sent, how it is signed, what is never sent, and when they stop."""

import json
from collections.abc import Callable, Iterator

import pytest

from bridge.sandbox import Sandbox, sign
from tests.recordings import load, names
from tests.sandbox.asking import api
from tests.sandbox.receiver import Receiver, receiving

SECRET = "whsec-throwaway"
TOPICS = (
    "order.created",
    "order.updated",
    "order.deleted",
    "order.restored",
    "action.woocommerce_order_status_completed",
)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def subscribed(sandbox: Sandbox, receiver: Receiver) -> int:
    """Place an order, subscribe to every topic and forget what came so far."""
    order_id = sandbox.place_order()
    for topic in TOPICS:
        sandbox.add_webhook(receiver.url, topic, SECRET)
    receiver.received.clear()
    return order_id


@pytest.mark.parametrize("name", names("webhook-order.") + names("webhook-action."))
def test_recorded_signatures_verify_as_the_sandbox_signs(name: str) -> None:
    recording = load(name)
    signature = sign(recording["body_raw"].encode(), recording["secret"])
    assert signature == recording["headers"]["X-WC-Webhook-Signature"]


def test_a_delivery_has_the_recorded_headers_and_the_order_as_it_is(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    order_id = subscribed(sandbox, receiver)
    sandbox.update_order(order_id, customer_note="now")
    sandbox.deliver_webhooks()
    (delivery,) = receiver.deliveries
    recorded = load("webhook-order.updated-completed")["headers"]
    assert delivery.headers.keys() - {"Accept-Encoding"} == {
        name.title() for name in recorded if name != "Accept-Encoding"
    }
    for name in ("Content-Type", "User-Agent", "X-WC-Webhook-Topic", "X-WC-Webhook-Event"):
        assert delivery.headers[name.title()] == recorded[name]
    assert delivery.headers["X-Wc-Webhook-Signature"] == sign(delivery.body, SECRET)
    assert delivery.headers["X-Wc-Webhook-Source"] == f"{sandbox.url}/"
    assert json.loads(delivery.body) == sandbox.order_json(order_id)


def test_creation_sends_the_recorded_unsigned_ping(sandbox: Sandbox, receiver: Receiver) -> None:
    fields = {"topic": "order.updated", "delivery_url": receiver.url, "secret": SECRET}
    webhook = api(sandbox).post("webhooks", fields).json()
    (ping,) = receiver.received
    recorded = load("webhook-ping-on-creation")
    assert ping.body.decode() == f"webhook_id={webhook['id']}"
    assert recorded["body_raw"] == "webhook_id=2"
    assert ping.headers["Content-Type"] == recorded["headers"]["Content-Type"]
    assert not [name for name in ping.headers if name.startswith("X-")]


def test_a_ping_not_answered_200_comes_again_when_the_webhook_is_saved(sandbox: Sandbox) -> None:
    with receiving(204, 200) as receiver:
        webhook = sandbox.add_webhook(receiver.url)
        for name in ("one", "two"):
            api(sandbox).put(f"webhooks/{webhook.id}", {"name": name})
        assert len(receiver.pings) == 2


def test_several_changes_are_one_delivery_with_the_final_state(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    subscribed(sandbox, receiver)
    order_id = sandbox.place_order(status="pending")
    for status in ("on-hold", "processing", "failed", "cancelled"):
        sandbox.set_status(order_id, status)
    sandbox.deliver_webhooks()
    assert receiver.topics == ["order.created", "order.updated"]
    assert {json.loads(delivery.body)["status"] for delivery in receiver.deliveries} == {
        "cancelled"
    }
    assert sandbox.deliver_webhooks() == []


def test_an_action_says_which_order_and_nothing_of_it(sandbox: Sandbox, receiver: Receiver) -> None:
    subscribed(sandbox, receiver)
    order_id = sandbox.place_order(status="completed")
    sandbox.deliver_webhooks()
    action = receiver.deliveries[receiver.topics.index(TOPICS[-1])]
    assert json.loads(action.body) == {
        "action": "woocommerce_order_status_completed",
        "arg": order_id,
    }


def test_trashing_sends_the_id_alone(sandbox: Sandbox, receiver: Receiver) -> None:
    order_id = subscribed(sandbox, receiver)
    sandbox.trash(order_id)
    sandbox.deliver_webhooks()
    assert [(d.headers["X-Wc-Webhook-Topic"], d.body) for d in receiver.deliveries] == [
        ("order.deleted", b'{"id":%d}' % order_id)
    ]


def test_restoring_sends_the_order_and_the_status_action_again(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    order_id = subscribed(sandbox, receiver)
    sandbox.trash(order_id)
    sandbox.deliver_webhooks()
    sandbox.restore(order_id)
    sandbox.deliver_webhooks()
    assert receiver.topics == ["order.deleted", "order.restored", TOPICS[-1]]


def _delete_a_refund(sandbox: Sandbox, order_id: int) -> Callable[[], object]:
    refund_id = sandbox.refund(order_id, "10.00")
    return lambda: sandbox.delete_refund(order_id, refund_id)


def _delete_for_ever(sandbox: Sandbox, order_id: int) -> Callable[[], object]:
    params = {"force": "true"}
    return lambda: api(sandbox).delete(f"orders/{order_id}", params=params)


def _put_on_trash(sandbox: Sandbox, order_id: int) -> Callable[[], object]:
    sandbox.trash(order_id)
    return lambda: api(sandbox).put(f"orders/{order_id}", {"status": "processing"})


@pytest.mark.parametrize("prepare", [_delete_a_refund, _delete_for_ever, _put_on_trash])
def test_silent_changes_send_no_order_webhook(
    sandbox: Sandbox,
    receiver: Receiver,
    prepare: Callable[[Sandbox, int], Callable[[], object]],
) -> None:
    order_id = subscribed(sandbox, receiver)
    change = prepare(sandbox, order_id)
    sandbox.deliver_webhooks()
    receiver.received.clear()
    change()
    sandbox.deliver_webhooks()
    assert receiver.topics == []


def test_legacy_storage_does_send_a_put_on_a_trashed_order(receiver: Receiver) -> None:
    with Sandbox(legacy_storage=True) as sandbox:
        order_id = subscribed(sandbox, receiver)
        _put_on_trash(sandbox, order_id)()
        sandbox.deliver_webhooks()
    assert "order.updated" in receiver.topics


def test_an_order_gone_before_its_delivery_is_a_signed_error_object(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    order_id = subscribed(sandbox, receiver)
    sandbox.touch(order_id)
    sandbox.delete_forever(order_id)
    sandbox.deliver_webhooks()
    (delivery,) = receiver.deliveries
    assert json.loads(delivery.body)["code"] == "woocommerce_rest_shop_order_invalid_id"
    assert delivery.headers["X-Wc-Webhook-Signature"] == sign(delivery.body, SECRET)


def touched(sandbox: Sandbox, order_id: int) -> int | None:
    """Touch an order, deliver, and return the status met."""
    sandbox.touch(order_id)
    (delivery,) = sandbox.deliver_webhooks()
    return delivery.status


def test_the_seventh_failure_in_a_row_disables_and_nothing_is_repeated(sandbox: Sandbox) -> None:
    order_id = sandbox.place_order()
    with receiving(200, 500) as receiver:
        webhook = sandbox.add_webhook(receiver.url)
        for _ in range(6):
            touched(sandbox, order_id)
            assert webhook.status == "active"
        touched(sandbox, order_id)
        assert webhook.status == "disabled"
        sandbox.touch(order_id)
        assert sandbox.deliver_webhooks() == []
        assert len(receiver.deliveries) == 7


def test_making_it_active_again_does_not_forget_the_failures(sandbox: Sandbox) -> None:
    order_id = sandbox.place_order()
    with receiving(200, 500) as receiver:
        webhook = sandbox.add_webhook(receiver.url)
        for _ in range(7):
            touched(sandbox, order_id)
        one = f"webhooks/{webhook.id}"
        assert api(sandbox).put(one, {"status": "active"}).json()["status"] == "active"
        touched(sandbox, order_id)
        assert api(sandbox).get(one).json()["status"] == "disabled"


def test_a_success_between_failures_keeps_the_webhook_alive(sandbox: Sandbox) -> None:
    order_id = sandbox.place_order()
    with receiving(200, *[500] * 6, 200, 500) as receiver:
        webhook = sandbox.add_webhook(receiver.url)
        for _ in range(13):
            touched(sandbox, order_id)
        assert webhook.status == "active"
        assert len(receiver.deliveries) == 13


@pytest.mark.parametrize(("status", "failures"), [(301, 0), (302, 0), (303, 1), (308, 1), (404, 1)])
def test_redirects_are_not_followed_and_two_of_them_count_as_success(
    sandbox: Sandbox, status: int, failures: int
) -> None:
    order_id = sandbox.place_order()
    with receiving(200, status) as receiver:
        webhook = sandbox.add_webhook(receiver.url)
        assert touched(sandbox, order_id) == status
        assert (webhook.failures, len(receiver.deliveries)) == (failures, 1)


def test_nobody_listening_is_a_failure_too(sandbox: Sandbox) -> None:
    with receiving() as gone:
        pass
    webhook = sandbox.add_webhook(gone.url)
    assert touched(sandbox, sandbox.place_order()) is None
    assert (webhook.status, webhook.failures) == ("active", 1)


def test_webhooks_are_listed_and_deleted_by_force_only(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    webhook = sandbox.add_webhook(receiver.url)
    one = f"webhooks/{webhook.id}"
    assert [shown["id"] for shown in api(sandbox).get("webhooks").json()] == [webhook.id]
    assert api(sandbox).delete(one).status_code == 501
    assert api(sandbox).delete(one, params={"force": "true"}).status_code == 200
    assert api(sandbox).get(one).status_code == 404


def test_a_webhook_needs_a_topic_and_an_address(sandbox: Sandbox) -> None:
    answer = api(sandbox).post("webhooks", {})
    assert answer.json()["message"] == "Missing parameter(s): topic, delivery_url"


def test_with_an_interval_webhooks_go_out_by_themselves(receiver: Receiver) -> None:
    with Sandbox(webhook_interval_s=0.01) as sandbox:
        sandbox.add_webhook(receiver.url, "order.created")
        sandbox.place_order()
        assert receiver.delivered.wait(10)


def test_a_checkout_draft_is_silent_until_it_is_placed(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    subscribed(sandbox, receiver)
    order_id = sandbox.place_order(status="checkout-draft")
    sandbox.touch(order_id)
    sandbox.deliver_webhooks()
    assert receiver.topics == []
    sandbox.set_status(order_id, "on-hold")
    sandbox.deliver_webhooks()
    assert receiver.topics == ["order.created", "order.updated"]
