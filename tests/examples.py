"""Orders, drafts and books to begin with: a test names only what it is about."""

from collections.abc import Mapping
from typing import Any

from bridge.domain.clock import Instant, parse
from bridge.domain.crediting import DEPOSIT, Worth
from bridge.domain.drift import Slot
from bridge.domain.entry import Draft, EffectDraft, Kind, request_digest
from bridge.domain.order import Line, Order, Refund
from bridge.domain.posting import Books
from bridge.domain.wallet import Wallet, WalletId

NOON: Instant = parse("2026-11-22T12:00:00Z")
ACME = WalletId("acme", "EUR")
GLOBEX = WalletId("globex", "EUR")


def order(**fields: Any) -> Order:
    """A completed order of acme's over 50.00 EUR, paid an hour ago."""
    usual = Order(
        storefront="main",
        id=63,
        key="wc_order_63",
        status="completed",
        currency="EUR",
        total="50.00",
        total_tax="0.00",
        payment_method="bacs",
        has_transaction_id=False,
        created_at=parse("2026-11-22T10:00:00Z"),
        modified_at=parse("2026-11-22T11:30:00Z"),
        paid_at=parse("2026-11-22T11:00:00Z"),
        completed_at=parse("2026-11-22T11:00:00Z"),
        tags=("acme",),
        lines=(),
        refunds=(),
        fetched_at=NOON,
    )
    return usual._replace(**fields)


def line(line_id: int = 1, **fields: Any) -> Line:
    """A product line over 50.00 without a tag."""
    usual = Line(line_id, "product", "Deposit 50", 12, "DEPOSIT-50", "50.00", "0.00", ())
    return usual._replace(**fields)


def refunded(*totals: str) -> tuple[Refund, ...]:
    """Refunds of these amounts in the order's short form, with the ids 101, 102 and so on."""
    return tuple(Refund(101 + n, f"-{total}", None) for n, total in enumerate(totals))


def worth(effects: Mapping[str, int] | None = None, **fields: Any) -> Worth:
    """An order that is worth 5000 of acme's minor euros, or these effects."""
    usual = Worth("acme", "EUR", {DEPOSIT: 5000} if effects is None else effects, "because")
    return usual._replace(**fields)


def on(wallet_id: WalletId, **effects: int) -> dict[Slot, int]:
    """Slots of a wallet; `refund_7` is the effect refund/7 and `hold_dispute` hold/dispute."""
    return {Slot(wallet_id, name.replace("_", "/")): amount for name, amount in effects.items()}


def draft(kind: Kind, amount: int | None = None, key: str = "k", **fields: Any) -> Draft:
    """A draft for acme's euros; its digest is that of its kind, amount and related entry."""
    usual = Draft(
        kind, "acme", "EUR", amount, "api:core", key, b"", contra="plans", source="api/core"
    )
    content = (kind, usual.wallet_id, amount, fields.get("related_version"))
    return usual._replace(digest=request_digest(*content))._replace(**fields)


def effect(name: str, target: int, **fields: Any) -> EffectDraft:
    """A target for an effect of order 63 on acme's euros."""
    usual = EffectDraft("acme", "EUR", "main", 63, name, target, NOON, "Deposit by order 63")
    return usual._replace(**fields)


def books(*wallets: Wallet, strangers: frozenset[str] = frozenset()) -> Books:
    """Books with these wallets and nothing written yet; without any, an empty one of acme's."""
    opened = wallets or (Wallet(*ACME),)
    return Books({wallet.id: wallet for wallet in opened}, {}, {}, {}, strangers)
