from bridge.domain.order import key_digest
from tests.examples import order


def test_the_fingerprint_is_the_key_and_the_time_of_creation() -> None:
    first = order()
    assert first._replace(status="trash", total="1.00").fingerprint == first.fingerprint
    assert first._replace(key="wc_order_other").fingerprint != first.fingerprint
    assert first._replace(created_at=first.created_at + 1).fingerprint != first.fingerprint


def test_a_key_is_kept_as_what_tells_it_from_others_and_does_not_show_it() -> None:
    assert len(key_digest("wc_order_a")) == 32
    assert key_digest("wc_order_a") == key_digest("wc_order_a") != key_digest("wc_order_b")
    assert "wc_order" not in key_digest("wc_order_a")
