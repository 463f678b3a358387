"""`decide` against a ledger that adds everything up anew from its list of entries, each time."""

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.domain.entry import (
    DECLINED,
    POSTED,
    REPLAYED,
    Draft,
    Effect,
    EffectDraft,
    EffectId,
    Entry,
    EntryId,
    KeyId,
    Kind,
    Reason,
)
from bridge.domain.posting import Books, Related, decide
from bridge.domain.wallet import GENESIS, Wallet, WalletId
from tests.examples import ACME, GLOBEX, NOON, books, draft, effect

Asked = Draft | EffectDraft
Answer = tuple[str, Reason | None]
EMPTY = books(Wallet(*ACME), Wallet(*GLOBEX))
SPENDING = {Kind.DEBIT, Kind.HOLD, Kind.CAPTURE}
ENDS = (Kind.CAPTURE, Kind.VOID, Kind.EXPIRE)


class Row(NamedTuple):
    """An entry of the model."""

    what: str
    amount: int
    held: int
    leans_on: int | None = None
    expires_at: int | None = None
    key: tuple[str, ...] = ()
    digest: bytes = b""


class Model:
    """Lists of rows, and sums over them."""

    def __init__(self) -> None:
        self.rows: dict[WalletId, list[Row]] = {ACME: [], GLOBEX: []}

    def balance(self, wallet_id: WalletId) -> int:
        return sum(row.amount for row in self.rows[wallet_id])

    def held(self, wallet_id: WalletId) -> int:
        return sum(row.held for row in self.rows[wallet_id])

    def post(self, asked: Asked) -> Answer:
        if isinstance(asked, EffectDraft):
            return self._effect(asked)
        key = (asked.tenant_id, asked.caller, asked.key)
        for known in [row for rows in self.rows.values() for row in rows]:
            if known.key == key:
                same = known.digest == asked.digest
                return (REPLAYED, None) if same else (DECLINED, Reason.KEY_REUSED)
        row = self._row(asked)
        if isinstance(row, Reason):
            return DECLINED, row
        needs_money = asked.kind in SPENDING
        available = self.balance(asked.wallet_id) - self.held(asked.wallet_id)
        if needs_money and available + row.amount - row.held < 0:
            return DECLINED, Reason.INSUFFICIENT
        return self._write(asked.wallet_id, row._replace(key=key, digest=asked.digest))

    def _write(self, wallet_id: WalletId, row: Row) -> Answer:
        self.rows[wallet_id].append(row)
        return POSTED, None

    def _effect(self, asked: EffectDraft) -> Answer:
        what = f"{asked.order_id}/{asked.effect}"
        holds = asked.effect.startswith("hold/")
        before = sum(
            row.held if holds else row.amount
            for row in self.rows[asked.wallet_id]
            if row.what == what
        )
        drift = asked.target - before
        if not drift:
            return REPLAYED, None
        return self._write(asked.wallet_id, Row(what, 0 if holds else drift, drift * holds))

    def _row(self, asked: Draft) -> Row | Reason:
        rows, version = self.rows[asked.wallet_id], asked.related_version
        leans_on = rows[version - 1] if version and version <= len(rows) else None
        later = [row for row in rows if leans_on and row.leans_on == version]
        match asked.kind:
            case Kind.DEBIT:
                return Row("debit", -(asked.amount or 0), 0)
            case Kind.HOLD:
                return Row("hold", 0, asked.amount or 0, expires_at=asked.expires_at)
            case Kind.ADJUSTMENT:
                return Row("adjustment", asked.amount or 0, 0)
            case Kind.DEBIT_REFUND:
                return refund(asked, leans_on, later)
            case _:
                return end(asked, leans_on, later)


def refund(asked: Draft, debit: Row | None, later: list[Row]) -> Row | Reason:
    if debit is None or debit.what not in {"debit", "capture"}:
        return Reason.NOT_FOUND
    rest = -debit.amount - sum(row.amount for row in later)
    amount = rest if asked.amount is None else asked.amount
    if amount > rest or rest == 0:
        return Reason.EXCEEDS_DEBIT
    return Row("refund", amount, 0, asked.related_version)


def end(asked: Draft, hold: Row | None, later: list[Row]) -> Row | Reason:
    if hold is None or hold.what != "hold":
        return Reason.NOT_FOUND
    if later:
        return Reason.HOLD_CLOSED
    expired = hold.expires_at is not None and hold.expires_at <= NOON
    if asked.kind is Kind.EXPIRE and not expired:
        return Reason.HOLD_RUNNING
    taken = 0
    if asked.kind is Kind.CAPTURE:
        taken = hold.held if asked.amount is None else asked.amount
        if expired or taken > hold.held:
            return Reason.HOLD_EXPIRED if expired else Reason.EXCEEDS_HOLD
    return Row(asked.kind.value, -taken, -hold.held, asked.related_version)


# Mostly small amounts of one tenant, so that drafts meet each other.
AMOUNTS = st.integers(1, 9)
TENANTS = st.sampled_from(["acme", "acme", "acme", "globex"])
SPENT = st.builds(
    draft,
    st.sampled_from([Kind.DEBIT, Kind.HOLD, Kind.HOLD]),
    AMOUNTS,
    st.sampled_from("abcdefghij"),
    tenant_id=TENANTS,
    expires_at=st.sampled_from([None, NOON, NOON + 1]),
)
ADJUSTED = st.builds(
    draft,
    st.just(Kind.ADJUSTMENT),
    st.integers(-9, 9).filter(bool),
    st.sampled_from("abcdefghij"),
    tenant_id=TENANTS,
)
LEANING = st.builds(
    draft,
    st.sampled_from([*ENDS, Kind.DEBIT_REFUND]),
    st.none() | AMOUNTS,
    st.sampled_from("klmnopqrstuvwxyz"),
    tenant_id=TENANTS,
    related_version=st.integers(1, 9),
)
EFFECTS = st.one_of(
    [
        st.builds(
            effect, st.just(name), targets, tenant_id=TENANTS, order_id=st.sampled_from([63, 64])
        )
        for name, targets in [
            ("deposit", st.integers(0, 40)),
            ("refund/7", st.integers(-9, 0)),
            ("hold/dispute", st.integers(0, 9)),
        ]
    ]
)
FUNDS: list[Asked] = [effect("deposit", 40), effect("deposit", 40, tenant_id="globex")]


def aimed(drafts: list[Asked]) -> list[Asked]:
    """Let each draft that leans on an entry lean on one there is, if not always of its kind."""
    after, asked = EMPTY, list[Asked]()
    for one in [*FUNDS, *drafts]:
        aim = one
        if isinstance(one, Draft) and one.related_version:
            wallet = [place for place in after.related if place[:2] == one.wallet_id]
            version = wallet[one.related_version % len(wallet)].version if wallet else 1
            named = {"tenant_id": one.tenant_id, "related_version": version}
            aim = draft(one.kind, one.amount, one.key, **named)
        asked.append(aim)
        _, after = decide(after, [aim], NOON)
    return asked


DRAFTS = st.lists(
    SPENT | LEANING | SPENT | LEANING | ADJUSTED | EFFECTS, min_size=9, max_size=30
).map(aimed)
many = settings(max_examples=300)


@many
@given(DRAFTS)
def test_decide_does_what_adding_everything_up_says(drafts: list[Asked]) -> None:
    model, after = Model(), EMPTY
    for asked in drafts:
        (outcome,), after = decide(after, [asked], NOON)
        assert (outcome.status, outcome.reason) == model.post(asked)
        for wallet_id, wallet in after.wallets.items():
            assert wallet.balance == model.balance(wallet_id)
            assert wallet.held == model.held(wallet_id) >= 0
            assert wallet.version == len(model.rows[wallet_id])
        if outcome.status == POSTED and isinstance(asked, Draft) and asked.kind in SPENDING:
            assert after.wallets[asked.wallet_id].available >= 0


@many
@given(DRAFTS)
def test_a_batch_is_the_same_as_its_drafts_one_by_one_read_anew_each_time(
    drafts: list[Asked],
) -> None:
    together, after = decide(EMPTY, drafts, NOON)
    entries: list[Entry] = []
    for asked, expected in zip(drafts, together, strict=True):
        (outcome,), _ = decide(read(entries), [asked], NOON)
        assert outcome == expected
        if outcome.status == POSTED and outcome.entry:
            entries.append(outcome.entry)
    assert read(entries).wallets == after.wallets


@many
@given(DRAFTS)
def test_drafts_posted_again_change_nothing(drafts: list[Asked]) -> None:
    """Those of orders are left out: their last target stands, not their first."""
    asked = [one for one in drafts if isinstance(one, Draft)]
    _, funded = decide(EMPTY, FUNDS, NOON)
    once, after = decide(funded, asked, NOON)
    posted = [one for one, outcome in zip(asked, once, strict=True) if outcome.status == POSTED]
    again, after_all = decide(after, posted, NOON)
    assert {outcome.status for outcome in again} <= {REPLAYED}
    assert after_all == after


def read(entries: Sequence[Entry]) -> Books:
    """Return the books as a store would read them from its entries."""
    wallets = dict(EMPTY.wallets)
    for entry in entries:
        wallet_id = WalletId(entry.tenant_id, entry.currency)
        assert entry == entry.sealed(wallets[wallet_id].hash if entry.version > 1 else GENESIS)
        wallets[wallet_id] = Wallet(
            *wallet_id, entry.balance_after, entry.held_after, entry.version, entry.hash
        )
    known = {KeyId(e.tenant_id, e.caller, e.idempotency_key): e for e in entries}
    related = {EntryId(e.tenant_id, e.currency, e.version): Related(e) for e in entries}
    effects: dict[EffectId, Effect] = {}
    for entry in entries:
        if entry.related_version is not None:
            place = EntryId(entry.tenant_id, entry.currency, entry.related_version)
            before = related[place]
            refunded = before.refunded + entry.amount * (entry.kind == Kind.DEBIT_REFUND)
            related[place] = Related(before.entry, entry.kind in ENDS, refunded)
        if entry.source.startswith("order/"):
            _, storefront, order_id, name = entry.source.split("/", 3)
            effect_id = EffectId(entry.tenant_id, entry.currency, storefront, int(order_id), name)
            amount, posts = effects.get(effect_id, Effect())
            effects[effect_id] = Effect(amount + entry.amount + entry.held, posts + 1)
    return Books(wallets, known, related, effects)
