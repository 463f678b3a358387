"""Orders that bridge started: whose they are is signed, not only said."""

from bridge.domain.deposit import TAG_KEY, Tag, read_tag
from bridge.domain.held import HeldError, HeldReason
from bridge.domain.money import format_amount
from bridge.domain.order import Order
from bridge.domain.signing import Keys


def tag_of(order: Order, keys: Keys) -> Tag | None:
    """Return the signed tag of an order, None where it carries none.

    Raises HeldError for a tag that was not signed with one of the keys, and for two different ones.
    """
    seals = list(order.seals)
    for line in order.lines:
        seals += line.seals
    tags = [read_tag(keys, seal) for seal in seals]
    if any(tag is None or tag != tags[0] for tag in tags):
        raise HeldError(
            HeldReason.DEPOSIT_TAG_INVALID,
            f"{TAG_KEY} was edited, belongs to another storefront, or was signed with a key that "
            "[signing] key_file does not name any more; put back what it was, or the key",
        )
    return tags[0] if tags else None


def deposit_lines(order: Order, tag: Tag) -> frozenset[int]:
    """Return the ids of the lines that are the deposit: those tagged, or the fee that names it."""
    return frozenset(
        line.id
        for line in order.lines
        if line.seals or (line.kind == "fee" and tag.deposit_id in line.name)
    )


def check(order: Order, tag: Tag, paid: int) -> None:
    """Raise HeldError unless what was paid for the deposit is what was signed."""
    if (order.currency, paid) != (tag.currency, tag.amount):
        signed = f"{format_amount(tag.amount, tag.currency)} {tag.currency}"
        raise HeldError(
            HeldReason.DEPOSIT_MISMATCH,
            f"deposit {tag.deposit_id} was signed for {signed}, the order says "
            f"{format_amount(paid, order.currency)} {order.currency}; put the order back, or "
            "cancel it and adjust the balance by hand",
        )
