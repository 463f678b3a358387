"""What the sandbox stores: orders, their lines, tags and refunds, and what follows from them.

Orders and refunds cost whole cents, or what the storefront has; lines keep more digits, as in
WooCommerce. Instants are cut to whole seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from bridge.domain.clock import Instant

STATUSES = {
    "pending": "Pending payment",
    "processing": "Processing",
    "on-hold": "On hold",
    "completed": "Completed",
    "cancelled": "Cancelled",
    "refunded": "Refunded",
    "failed": "Failed",
    "checkout-draft": "Draft",
}
DRAFT_STATUSES = ("auto-draft", "checkout-draft")
PAYABLE_STATUSES = ("pending", "failed", "checkout-draft")
PAID_STATUSES = ("processing", "completed")
EDITABLE_STATUSES = ("pending", "on-hold", "auto-draft")

GATEWAYS = {
    "bacs": "Direct bank transfer",
    "cheque": "Check payments",
    "cod": "Cash on delivery",
    "sandbox_card": "Sandbox card",
}
CARD = "sandbox_card"


@dataclass(frozen=True, slots=True)
class Settings:
    """How this storefront is set up; `decimals` is its own, whatever the currency has."""

    currency: str = "EUR"
    decimals: int = 2
    time_zone_offset_s: int = 0
    legacy_storage: bool = False
    statuses: Mapping[str, str] = field(default_factory=lambda: STATUSES)

    @property
    def settable_statuses(self) -> tuple[str, ...]:
        """The statuses that REST accepts; trash is not one of them."""
        return ("auto-draft", *self.statuses)

    def rounded(self, amount: Decimal) -> Decimal:
        """Round half up to the storefront's decimals, as PHP does."""
        return amount.quantize(Decimal(1).scaleb(-self.decimals), ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Product:
    """Something sold; only virtual and downloadable products let a paid order complete itself."""

    id: int
    name: str
    sku: str
    price: Decimal
    virtual: bool = True
    downloadable: bool = False

    @property
    def needs_processing(self) -> bool:
        """WooCommerce: WC_Order::needs_processing()."""
        return not (self.virtual and self.downloadable)


@dataclass(slots=True)
class Meta:
    """One value of one key; a key may occur several times."""

    id: int
    key: str
    value: Any


@dataclass(slots=True)
class Line:
    """A product line, or a fee line where `product` is None."""

    id: int
    name: str
    total: Decimal
    subtotal: Decimal
    product: Product | None = None
    quantity: int = 1
    tax_status: str = "taxable"
    meta: list[Meta] = field(default_factory=list)


@dataclass(slots=True)
class Refund:
    """Money given back; `lines` names order lines with the (positive) part each one got back."""

    id: int
    order_id: int
    amount: Decimal
    reason: str
    created_at: Instant
    through_gateway: bool
    meta: Meta
    lines: list[Line] = field(default_factory=list)


@dataclass(slots=True)
class Order:
    """One order. `status` is the bare slug; a trashed order keeps the one before in its meta."""

    id: int
    key: str
    currency: str
    created_at: Instant
    modified_at: Instant
    status: str = "pending"
    paid_at: Instant | None = None
    completed_at: Instant | None = None
    total: Decimal = Decimal(0)
    payment_method: str = ""
    payment_method_title: str = ""
    transaction_id: str = ""
    created_via: str = "rest-api"
    customer_id: int = 0
    customer_note: str = ""
    billing: dict[str, str] = field(default_factory=dict)
    shipping: dict[str, str] = field(default_factory=dict)
    meta: list[Meta] = field(default_factory=list)
    products: list[Line] = field(default_factory=list)
    fees: list[Line] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)

    @property
    def refundable(self) -> Decimal:
        """What was not refunded yet. `total` itself never shrinks by a refund."""
        return self.total - sum((refund.amount for refund in self.refunds), Decimal(0))

    @property
    def needs_payment(self) -> bool:
        """Whether the pay page offers methods."""
        return self.status in PAYABLE_STATUSES and self.total > 0

    @property
    def is_editable(self) -> bool:
        """What the REST answer's field of that name says."""
        return self.status in EDITABLE_STATUSES

    @property
    def needs_processing(self) -> bool:
        """Whether something is left to do once it is paid; not so for a fee-only order."""
        return any(line.product and line.product.needs_processing for line in self.products)

    @property
    def payment_complete_status(self) -> str:
        """Where payment leads; cash on delivery is paid only when completed (WC_Gateway_COD)."""
        return (
            "processing" if self.needs_processing and self.payment_method != "cod" else "completed"
        )
