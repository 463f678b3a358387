"""Held: an order that nobody should credit or reverse by guessing, and why."""

from enum import StrEnum
from typing import NamedTuple


class HeldReason(StrEnum):
    """Why an order is held. The value is stable; `because` names the rule and the remedy."""

    TAG_CONFLICT = "tag_conflict"
    TAG_INVALID = "tag_invalid"
    TAG_MISSING = "tag_missing"
    TENANT_UNKNOWN = "tenant_unknown"
    CURRENCY_NOT_ACCEPTED = "currency_not_accepted"
    AMOUNT_UNREADABLE = "amount_unreadable"
    AMOUNT_PRECISION = "amount_precision"
    AMOUNT_NEGATIVE = "amount_negative"
    EVIDENCE_MISSING = "evidence_missing"
    REFUND_UNATTRIBUTED = "refund_unattributed"
    REFUND_EXCEEDS = "refund_exceeds"
    IDENTITY_CHANGED = "identity_changed"
    UNREADABLE = "unreadable"
    BALANCE_LIMIT = "balance_limit"
    DEPOSIT_TAG_INVALID = "deposit_tag_invalid"
    DEPOSIT_TAG_MISSING = "deposit_tag_missing"
    DEPOSIT_MISMATCH = "deposit_mismatch"
    DEPOSIT_UNKNOWN = "deposit_unknown"
    DEPOSIT_ELSEWHERE = "deposit_elsewhere"


class Held(NamedTuple):
    """An order that nobody should credit or reverse by guessing."""

    reason: HeldReason
    because: str


class HeldError(Exception):
    """Carries a Held out of the nested rules of crediting; never leaves it."""

    def __init__(self, reason: HeldReason, because: str) -> None:
        super().__init__(because)
        self.held = Held(reason, because)
