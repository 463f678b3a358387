"""What the tenants' page calls things, in the language of a visit."""

from bridge.domain.deposit import Status, waiting_for
from bridge.domain.entry import Entry, Kind
from bridge.domain.renewal import Renewal
from bridge.domain.renewal import Status as RenewalStatus
from bridge.store.deposits import Deposit
from bridge.tongue import Tongue

_TOLD_BY = ("api/", "admin/", "payment_request/", "deposit/", "renewal/")
"""Sources whose descriptions were written for tenants; those of orders are the storefront's."""


def title(tongue: Tongue, entry: Entry) -> str:
    """Say what an entry is."""
    say = tongue.say
    titles = {
        Kind.DEPOSIT: say("Deposit"),
        Kind.BONUS: say("Bonus"),
        Kind.REVERSAL: say("Deposit taken back"),
        Kind.DEBIT: say("Payment"),
        Kind.DEBIT_REFUND: say("Payment refunded"),
        Kind.HOLD: say("Reserved"),
        Kind.CAPTURE: say("Payment of a reserved amount"),
        Kind.VOID: say("Reservation released"),
        Kind.EXPIRE: say("Reservation expired"),
        Kind.ADJUSTMENT: say("Adjustment"),
    }
    return titles[Kind(entry.kind)]


def detail(tongue: Tongue, entry: Entry) -> str:
    """Say what an entry was for: the caller's words, or which order it was."""
    if entry.source.startswith("order/"):
        return tongue.say("Order %(number)s", number=entry.source.split("/")[2])
    told = entry.source.startswith(_TOLD_BY)
    return (entry.description or entry.reference) if told else ""


def purpose(tongue: Tongue, name: str) -> str:
    """Say what the SaaS core wants to be paid for, where it has no words of its own."""
    say = tongue.say
    purposes = {"plan_purchase": say("A plan"), "plan_renewal": say("The renewal of a plan")}
    return purposes.get(name, say("A payment"))


def status(tongue: Tongue, deposit: Deposit) -> str:
    """Say in a few words how a deposit fares."""
    say = tongue.say
    waiting = {
        "payment": say("Not paid yet"),
        "bank": say("Not paid yet: waiting for the bank"),
        "storefront": say("Paid, being completed"),
    }
    done = {
        Status.CREDITED: say("In your balance"),
        Status.EXPIRED: say("Expired"),
        Status.CANCELLED: say("Cancelled"),
        Status.REVERSED: say("Taken back"),
    }
    waits = waiting_for(deposit.status, deposit.order_status)
    return waiting[waits] if waits else done[deposit.status]


def waiting(tongue: Tongue, renewal: Renewal, day: str) -> str:
    """Say why a renewal waits for the tenant; `day` is when it was or is due."""
    say = tongue.say
    told = {
        RenewalStatus.ACTIVE: say("Due on %(day)s: please pay", day=day),
        RenewalStatus.OVERDUE: say("Was due on %(day)s, not paid yet", day=day),
        RenewalStatus.LAPSED: say("Was due on %(day)s, not paid in time", day=day),
    }
    return told[RenewalStatus(renewal.status)]


def interval(tongue: Tongue, name: str) -> str:
    """Say how often a plan is paid for."""
    say = tongue.say
    intervals = {
        "day": say("per day"),
        "week": say("per week"),
        "month": say("per month"),
        "quarter": say("per quarter"),
        "year": say("per year"),
    }
    return intervals.get(name, f"/ {name}")


def trouble(tongue: Tongue, code: str, status_code: int) -> tuple[str, str]:
    """Say what went wrong and what to do, by an error's code or its HTTP status."""
    say = tongue.say
    closed = (
        say("This payment is closed"),
        say("It was paid or cancelled before. Nothing was changed."),
    )
    by_code = {
        "visit_over": (
            say("Your link has expired"),
            say("Please open this page again from where you came."),
        ),
        "offer_over": (
            say("Your link has expired"),
            say("Please make the deposit where you manage your subscription."),
        ),
        "form_foreign": (
            say("This form is out of date"),
            say("Nothing was changed. Please go back, reload the page and try again."),
        ),
        "not_allowed": (
            say("This is not possible here"),
            say("Your link does not allow this. Nothing was changed."),
        ),
        "deposit_refused": (
            say("This deposit is not possible"),
            say("Please choose another amount. Nothing was changed."),
        ),
        "deposit_closed": (
            say("This deposit is already paid"),
            say("It can no longer be cancelled."),
        ),
        "payment_request_closed": closed,
        "renewal_closed": closed,
    }
    if code in by_code:
        return by_code[code]
    if status_code in {404, 405}:
        return say("There is nothing here"), say("Please go back and choose again.")
    if status_code < 500:
        return say("This is not possible here"), say("Please go back and choose again.")
    if status_code == 500:
        return say("Something went wrong"), say("It is our mistake. Please try again later.")
    return say("This does not work right now"), say("Please try again in a moment.")
