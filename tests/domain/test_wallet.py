from bridge.domain.wallet import GENESIS, Wallet, WalletId


def test_available_is_balance_less_held_and_negative_for_a_debt() -> None:
    assert Wallet("acme", "EUR", balance=1000, held=300).available == 700
    assert Wallet("acme", "EUR", balance=-200, held=300).available == -500


def test_a_new_wallet_is_empty_and_its_chain_begins_at_genesis() -> None:
    assert Wallet("acme", "EUR") == ("acme", "EUR", 0, 0, 0, GENESIS)
    assert bytes(32) == GENESIS


def test_wallets_sort_by_tenant_and_then_by_currency() -> None:
    ids = [WalletId("b", "EUR"), WalletId("a", "USD"), WalletId("a", "EUR")]
    assert sorted(ids) == [("a", "EUR"), ("a", "USD"), ("b", "EUR")]
    assert Wallet("a", "USD").id == WalletId("a", "USD")
