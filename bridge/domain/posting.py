"""The fold that decides: wallets and known keys in, outcomes out. No I/O and no clock.

A decline is a value and leaves no trace under its key, so that a renewal declined today may
succeed under the same key after a deposit.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from bridge.domain.clock import Instant
from bridge.domain.entry import (
    DECLINED,
    POSTED,
    PROMOTIONS,
    REPLAYED,
    Draft,
    Effect,
    EffectDraft,
    EffectId,
    Entry,
    EntryId,
    KeyId,
    Kind,
    Outcome,
    Reason,
    sealed,
)
from bridge.domain.money import AMOUNT_MAX
from bridge.domain.wallet import Wallet, WalletId

_STOREFRONT = "storefront:"


class Related(NamedTuple):
    """An earlier entry that drafts refer to, and what became of it since."""

    entry: Entry
    closed: bool = False
    refunded: int = 0


class Books(NamedTuple):
    """All that deciding needs, read under the wallets' locks.

    A wallet that is absent does not exist; `strangers` are the tenants that do not exist either.
    """

    wallets: dict[WalletId, Wallet]
    known: dict[KeyId, Entry]
    related: dict[EntryId, Related]
    effects: dict[EffectId, Effect]
    strangers: frozenset[str] = frozenset()

    def copy(self) -> "Books":
        """Return books that can be written in without changing these."""
        return Books(
            dict(self.wallets),
            dict(self.known),
            dict(self.related),
            dict(self.effects),
            self.strangers,
        )


def decide(
    books: Books, drafts: Sequence[Draft | EffectDraft], recorded_at: Instant
) -> tuple[list[Outcome], Books]:
    """Return one outcome per draft, in order, and the books as they stand after them.

    Each draft sees what those before it did. The books given are not changed.
    """
    after = books.copy()
    outcomes = [
        _converge(after, draft, recorded_at)
        if isinstance(draft, EffectDraft)
        else _answer(after, draft, recorded_at)
        for draft in drafts
    ]
    return outcomes, after


def _answer(books: Books, draft: Draft, now: Instant) -> Outcome:
    known = books.known.get(KeyId(draft.tenant_id, draft.caller, draft.key))
    if known is not None:
        return _replay(known, draft)
    if draft.tenant_id in books.strangers and not draft.opens_wallet:
        return Outcome(DECLINED, reason=Reason.UNKNOWN_TENANT)
    return _RULES[draft.kind](books, draft, now)


def _replay(known: Entry, draft: Draft) -> Outcome:
    if known.request_digest == draft.digest:
        return Outcome(REPLAYED, known)
    return Outcome(DECLINED, reason=Reason.KEY_REUSED)


def _debit(books: Books, draft: Draft, now: Instant) -> Outcome:
    return _guarded(books, draft, now, amount=-_asked(draft))


def _hold(books: Books, draft: Draft, now: Instant) -> Outcome:
    return _guarded(books, draft, now, held=_asked(draft))


def _capture(books: Books, draft: Draft, now: Instant) -> Outcome:
    hold = _find(books, draft, Kind.HOLD)
    if isinstance(hold, Reason):
        return _decline(books, draft, hold)
    if hold.entry.expires_at is not None and now >= hold.entry.expires_at:
        return _decline(books, draft, Reason.HOLD_EXPIRED)
    amount = _asked(draft, hold.entry.held)
    if amount > hold.entry.held:
        return _decline(books, draft, Reason.EXCEEDS_HOLD)
    outcome = _guarded(books, draft, now, amount=-amount, held=-hold.entry.held)
    return _close(books, hold, outcome)


def _void(books: Books, draft: Draft, now: Instant) -> Outcome:
    hold = _find(books, draft, Kind.HOLD)
    if isinstance(hold, Reason):
        return _decline(books, draft, hold)
    return _close(books, hold, _post(books, draft, now, held=-hold.entry.held))


def _expire(books: Books, draft: Draft, now: Instant) -> Outcome:
    hold = _find(books, draft, Kind.HOLD)
    if isinstance(hold, Reason):
        return _decline(books, draft, hold)
    if hold.entry.expires_at is None or now < hold.entry.expires_at:
        return _decline(books, draft, Reason.HOLD_RUNNING)
    return _close(books, hold, _post(books, draft, now, held=-hold.entry.held))


def _debit_refund(books: Books, draft: Draft, now: Instant) -> Outcome:
    debit = _find(books, draft, Kind.DEBIT, Kind.CAPTURE)
    if isinstance(debit, Reason):
        return _decline(books, draft, debit)
    rest = -debit.entry.amount - debit.refunded
    if not rest or (amount := _asked(draft, rest)) > rest:
        return _decline(books, draft, Reason.EXCEEDS_DEBIT)
    outcome = _post(books, draft, now, amount=amount)
    if outcome.entry:
        refunded = debit._replace(refunded=debit.refunded + amount)
        books.related[_place(debit.entry)] = refunded
    return outcome


def _adjustment(books: Books, draft: Draft, now: Instant) -> Outcome:
    return _post(books, draft, now, amount=_asked(draft))


_RULES: dict[Kind, Callable[[Books, Draft, Instant], Outcome]] = {
    Kind.DEBIT: _debit,
    Kind.HOLD: _hold,
    Kind.CAPTURE: _capture,
    Kind.VOID: _void,
    Kind.EXPIRE: _expire,
    Kind.DEBIT_REFUND: _debit_refund,
    Kind.ADJUSTMENT: _adjustment,
}


def _asked(draft: Draft, otherwise: int = 0) -> int:
    """Return the amount asked for; ValueError for one that would turn the draft around."""
    amount = otherwise if draft.amount is None else draft.amount
    if amount == 0 or (amount < 0 and draft.kind is not Kind.ADJUSTMENT):
        raise ValueError(f"{amount} is no amount for a draft of kind {draft.kind}")
    return amount


def _find(books: Books, draft: Draft, *kinds: Kind) -> Related | Reason:
    place = EntryId(draft.tenant_id, draft.currency, draft.related_version or 0)
    related = books.related.get(place)
    if related is None or related.entry.kind not in kinds or _is_of_order(related.entry):
        return Reason.NOT_FOUND
    return Reason.HOLD_CLOSED if related.closed else related


def _is_of_order(entry: Entry) -> bool:
    """Tell whether an order made the entry: the hold of a dispute ends with the dispute only."""
    return entry.caller.startswith(_STOREFRONT)


def _close(books: Books, hold: Related, outcome: Outcome) -> Outcome:
    if outcome.entry:
        books.related[_place(hold.entry)] = hold._replace(closed=True)
    return outcome


def _guarded(
    books: Books, draft: Draft, now: Instant, *, amount: int = 0, held: int = 0
) -> Outcome:
    """Post unless it would leave less available than is to be kept: nothing, or more."""
    wallet = books.wallets.get(draft.wallet_id)
    if wallet is None or wallet.available + amount - held < draft.keep_at_least:
        return _decline(books, draft, Reason.INSUFFICIENT)
    return _post(books, draft, now, amount=amount, held=held)


def _decline(books: Books, draft: Draft, reason: Reason) -> Outcome:
    wallet = books.wallets.get(draft.wallet_id)
    return Outcome(DECLINED, reason=reason, available=wallet.available if wallet else 0)


def _post(books: Books, draft: Draft, now: Instant, *, amount: int = 0, held: int = 0) -> Outcome:
    content = (
        *(draft.contra, draft.caller, draft.key, draft.digest),
        *(draft.reference, draft.description, draft.source, draft.metadata),
        *(draft.related_version, draft.expires_at, now, now),
    )
    outcome = _append(books, draft.wallet_id, draft.kind.value, (amount, held), content)
    if entry := outcome.entry:  # what orders made has keys of its own, and no draft refers to it
        books.known[KeyId(entry.tenant_id, entry.caller, entry.idempotency_key)] = entry
        books.related[_place(entry)] = Related(entry)
    return outcome


def _converge(books: Books, draft: EffectDraft, now: Instant) -> Outcome:
    """Post target minus posted, and nothing where they are equal. Orders may leave a debt."""
    effect_id = draft.effect_id
    effect = books.effects.get(effect_id, Effect())
    drift = draft.target - effect.amount
    if drift == 0:
        return Outcome(REPLAYED)
    on_hold = draft.effect.startswith("hold/")
    place = f"{draft.order_id}/{draft.effect}"
    promoted = draft.effect.startswith("promotion/")
    storefront = _STOREFRONT + draft.storefront
    kind = _effect_kind(drift, on_hold=on_hold, promoted=promoted).value
    amount, held = (0, drift) if on_hold else (drift, 0)
    key, digest = f"{place}#{draft.currency}.{effect.posts + 1}", b""
    content = (
        *(PROMOTIONS if promoted else storefront, storefront, key, digest),
        *(str(draft.order_id), draft.description, f"order/{draft.storefront}/{place}", "{}"),
        *(None, None, draft.occurred_at, now),
    )
    outcome = _append(books, draft.wallet_id, kind, (amount, held), content)
    if outcome.entry:
        books.effects[effect_id] = Effect(draft.target, effect.posts + 1)
    return outcome


def _append(
    books: Books, wallet_id: WalletId, kind: str, change: tuple[int, int], content: tuple[Any, ...]
) -> Outcome:
    """Write the wallet's next entry; declined only where the numbers would no longer fit.

    `change` is that of the balance and of what is held, `content` all other fields from `contra`.
    """
    wallet, (amount, held) = books.wallets[wallet_id], change
    balance, held_after = wallet.balance + amount, wallet.held + held
    # Enough, since what is held is never negative.
    if max(balance, held_after) > AMOUNT_MAX or balance - held_after < -AMOUNT_MAX:
        return Outcome(DECLINED, reason=Reason.BALANCE_LIMIT, available=wallet.available)
    version = wallet.version + 1
    place = (*wallet_id, version)
    entry = sealed(wallet.hash, (*place, kind, amount, held, balance, held_after, *content))
    books.wallets[wallet_id] = Wallet(*wallet_id, balance, held_after, version, entry.hash)
    return Outcome(POSTED, entry)


def _effect_kind(drift: int, *, on_hold: bool, promoted: bool) -> Kind:
    if on_hold:
        return Kind.HOLD if drift > 0 else Kind.VOID
    if drift < 0:
        return Kind.REVERSAL
    return Kind.BONUS if promoted else Kind.DEPOSIT


def _place(entry: Entry) -> EntryId:
    return EntryId(entry.tenant_id, entry.currency, entry.version)
