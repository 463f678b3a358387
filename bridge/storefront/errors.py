"""What can go wrong with a storefront, by what helps: waiting, asking for less, or an operator."""

from bridge.domain.errors import BridgeError, ConfigurationError, NotFoundError, UnavailableError


class StorefrontUnavailableError(UnavailableError):
    """No usable answer now, perhaps later. `wait_s`: how long the storefront asked to be left."""

    code = "storefront_unavailable"

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class StorefrontOverloadedError(StorefrontUnavailableError):
    """It timed out, crashed or sent a spoiled body: later, or a smaller question, may do."""


class StorefrontAnswerError(BridgeError):
    """It answered with something bridge cannot use, and would again."""

    code = "storefront_answer"
    http_status = 502


class StorefrontBrokenError(StorefrontAnswerError):
    """It cannot give this answer, now or later, but may give a smaller one."""


class StorefrontRefusedError(ConfigurationError):
    """It does not accept the API key, or something before it does not let bridge through."""

    code = "storefront_refused"


class StorefrontAddressError(ConfigurationError):
    """The configured address is not where its WooCommerce API answers."""

    code = "storefront_address"


class OrderGoneError(NotFoundError):
    """The order has been deleted for good: not even in the trash."""

    code = "order_gone"


SMALLER_MAY_DO = (StorefrontOverloadedError, StorefrontBrokenError)
"""The errors after which asking for fewer orders at once makes sense."""
