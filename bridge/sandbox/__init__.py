"""A small WooCommerce-compatible storefront, in memory, to try bridge against.

For `bridge demo` and for tests; nothing else imports it. It plays WooCommerce 10.5 with HPOS tables
(or legacy storage) as far as bridge meets it: wc/v3 orders, refunds and webhooks with their quirks,
the pay page, the companion plugin with its cart and checkout, and faults to switch on. Not played:
taxes (a fee line costs what it says, as with `tax_status: none`), coupons, shipping, stock, log-in,
several keys.
"""

from bridge.sandbox.faults import (
    BOM,
    CRITICAL_ERROR,
    DROPPED,
    LOST_ANSWER,
    MAINTENANCE,
    PHP_NOTICE,
    SILENT,
    UNAUTHORIZED,
    WRONG_CONTENT,
    Fault,
    busy,
    redirect,
    slow,
)
from bridge.sandbox.orders import RefusedError
from bridge.sandbox.sandbox import Sandbox
from bridge.sandbox.webhooks import Delivery, Webhook, sign
from bridge.sandbox.wire import Request

__all__ = [
    "BOM",
    "CRITICAL_ERROR",
    "DROPPED",
    "LOST_ANSWER",
    "MAINTENANCE",
    "PHP_NOTICE",
    "SILENT",
    "UNAUTHORIZED",
    "WRONG_CONTENT",
    "Delivery",
    "Fault",
    "RefusedError",
    "Request",
    "Sandbox",
    "Webhook",
    "busy",
    "redirect",
    "sign",
    "slow",
]
