"""A wallet: one tenant in one currency."""

from typing import NamedTuple

GENESIS = bytes(32)
"""The hash before a wallet's first entry."""


class WalletId(NamedTuple):
    """The tenant first, so that a store can be partitioned by it. Sorts in locking order."""

    tenant_id: str
    currency: str


class Wallet(NamedTuple):
    """A wallet after its entry number `version`. Amounts are minor units of the currency."""

    tenant_id: str
    currency: str
    balance: int = 0
    held: int = 0
    version: int = 0
    hash: bytes = GENESIS

    @property
    def id(self) -> WalletId:
        """The wallet's key."""
        return WalletId(self.tenant_id, self.currency)

    @property
    def available(self) -> int:
        """What debits and holds may use: balance less held. Negative for a debt."""
        return self.balance - self.held
