"""Convergence: what an order is worth, less what was posted for it, is drift."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from bridge.domain.clock import MINUTE, Instant
from bridge.domain.crediting import BONUS, DEPOSIT, DISPUTE, VANISHED, Worth
from bridge.domain.wallet import WalletId

BACKWARD_WAIT: Instant = 10 * MINUTE
"""How far apart an uncertain step back must be seen twice before it takes money."""


class Slot(NamedTuple):
    """One of an order's effects on one wallet."""

    wallet_id: WalletId
    effect: str


Posted = Mapping[Slot, int]
"""What was posted for an order: slots to amounts in minor units."""


def targets(worth: Worth, posted: Posted) -> dict[Slot, int]:
    """Return the target of every slot the order has or had; a vanished effect has target 0."""
    wanted = _disputed(worth, posted) if worth.disputed else _plain(worth, posted)
    return {**dict.fromkeys(posted, 0), **wanted}


def waiting_targets(worth: Worth, posted: Posted) -> dict[Slot, int]:
    """Return the targets while a step back waits: as before, but refunds count at once."""
    kept = _kept(worth, posted)
    disputed = {s.wallet_id for s, amount in posted.items() if s.effect == DISPUTE and amount}
    return {**dict.fromkeys(posted, 0), **kept, **_held(kept, disputed)}


def _plain(worth: Worth, posted: Posted) -> dict[Slot, int]:
    wallet_id = WalletId(worth.tenant_id, worth.currency)
    if not sum(worth.effects.values()) and not any(_on(wallet_id, posted).values()):
        return {}  # nothing was credited and nothing is due: no entries that cancel out
    return {Slot(wallet_id, name): amount for name, amount in worth.effects.items()}


def _disputed(worth: Worth, posted: Posted) -> dict[Slot, int]:
    """Keep what was posted, and hold it."""
    kept = _kept(worth, posted)
    return kept | _held(kept, {slot.wallet_id for slot in kept})


def _held(kept: Posted, wallet_ids: Iterable[WalletId]) -> dict[Slot, int]:
    """Hold all that is kept on these wallets, and no more: the rest of a balance is free."""
    return {Slot(one, DISPUTE): sum(_on(one, kept).values()) for one in wallet_ids}


def _kept(worth: Worth, posted: Posted) -> dict[Slot, int]:
    """Keep the deposits that were posted, and follow the refunds and what they leave of a bonus.

    Refunds that cannot be told stay as they are; refunds of more than was posted take it all.
    """
    wanted: dict[Slot, int] = {}
    for (wallet_id, effect), deposit in posted.items():
        if effect != DEPOSIT or not deposit:
            continue
        refunds = _on(wallet_id, posted) if worth.refunds is None else worth.refunds
        mine = {name: amount for name, amount in refunds.items() if name.startswith("refund/")}
        if deposit + sum(mine.values()) >= 0:
            mine[DEPOSIT] = deposit
            if BONUS in refunds:
                mine[BONUS] = refunds[BONUS]
            wanted |= {Slot(wallet_id, name): amount for name, amount in mine.items()}
    return wanted


def _on(wallet_id: WalletId, slots: Posted) -> dict[str, int]:
    return {slot.effect: amount for slot, amount in slots.items() if slot.wallet_id == wallet_id}


def balances(posted: Posted) -> dict[WalletId, int]:
    """Return what an order gave to each wallet, where it gave anything; what is held is part."""
    sums: dict[WalletId, int] = {}
    for slot, amount in posted.items():
        if slot.effect != DISPUTE and amount:
            sums[slot.wallet_id] = sums.get(slot.wallet_id, 0) + amount
    return sums


def is_backward(worth: Worth, posted: Posted) -> bool:
    """Tell whether this is an uncertain step back: it would take money, and may be a slip."""
    return not worth.certain and any(posted.values())


class FindingKind(StrEnum):
    """What a reconciliation can find; the names are part of the outside contract."""

    PAID_NOT_CREDITED = "paid_not_credited"
    CREDITED_NOT_PAID = "credited_not_paid"
    AMOUNT_MISMATCH = "amount_mismatch"
    REFUND_NOT_REVERSED = "refund_not_reversed"
    VANISHED = "vanished"
    HELD = "held"


class Finding(NamedTuple):
    """An order whose balance differs from its worth, on one wallet. Amounts are minor units."""

    kind: FindingKind
    storefront: str
    order_id: int
    tenant_id: str
    currency: str
    target: int
    posted: int
    detail: str

    @property
    def drift(self) -> int:
        """Target minus posted: what convergence posts."""
        return self.target - self.posted


def findings(  # noqa: PLR0913, PLR0917 - all that findings say
    storefront: str, order_id: int, status: str, because: str, wanted: Posted, posted: Posted
) -> list[Finding]:
    """Return one finding for each wallet on which the order has drifted from its targets."""
    drifted: dict[WalletId, list[str]] = {}
    for slot, amount in wanted.items():
        if amount != posted.get(slot, 0):
            drifted.setdefault(slot.wallet_id, []).append(slot.effect)
    after, before = balances(wanted), balances(posted)
    found = []
    for wallet_id, effects in sorted(drifted.items()):
        target, had = after.get(wallet_id, 0), before.get(wallet_id, 0)
        kind = _kind(status, target, had, effects)
        found.append(Finding(kind, storefront, order_id, *wallet_id, target, had, because))
    return found


def _kind(status: str, target: int, posted: int, drifted: Iterable[str]) -> FindingKind:
    if status == VANISHED:
        return FindingKind.VANISHED
    beside = {name for name in drifted if not name.startswith("refund/")}
    if beside <= {BONUS} and target < posted:
        return FindingKind.REFUND_NOT_REVERSED
    if posted == 0 and target > 0:
        return FindingKind.PAID_NOT_CREDITED
    if target == 0 and posted > 0:
        return FindingKind.CREDITED_NOT_PAID
    return FindingKind.AMOUNT_MISMATCH


class Comparison(NamedTuple):
    """What a reconciliation shall compare: the orders created in a window, or one order.

    `accept_vanished` says that an admin knows of the many orders that are gone.
    """

    storefront: str
    since: Instant
    until: Instant
    order_id: int | None = None
    dry_run: bool = False
    accept_vanished: bool = False
