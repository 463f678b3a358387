"""The demo's play: what happens at the storefront and in the SaaS core, and what follows."""

import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from rich.console import Console
from rich.text import Text

from bridge.cli.output import money
from bridge.cli.stage import Stage
from bridge.domain.money import format_amount

CURRENCY = "EUR"
TENANTS = ("acme", "globex", "initech")
SEED_ORDERS = [("globex", "120.00"), ("initech", "15.00")]
PLAN = 1900
TOTALS = (2000, 5000, 12_345)
GATEWAYS = {"bacs": "bank transfer", "cheque": "check", "cod": "cash on delivery"}

FOLLOW_TIMEOUT_S = 20.0
_LOOK_AGAIN_S = 0.1
_STYLES = {"storefront": "magenta", "core": "cyan", "bridge": "green"}

Scene = Callable[[], None]
T = TypeVar("T")


class Placed(NamedTuple):
    """An order of the play; `total` in minor units."""

    id: int
    tenant: str
    total: int

    def __str__(self) -> str:
        """As it is told."""
        return f"order {self.id} of {self.tenant}, {money(self.total, CURRENCY)}"


class Story:
    """Acts, and tells what came of it. One scene is one thing that happens."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self._stage = stage
        self._console = console
        self._awaited: list[Placed] = []
        self._completed: list[Placed] = []

    def opening(self) -> Iterator[Scene]:
        """The first round, in an order that explains itself."""
        yield self._show_seeds
        yield lambda: self._place("acme", 5000, "bacs")
        yield self._complete
        yield lambda: self._renew("acme")
        yield self._refund
        yield lambda: self._renew("initech")
        yield lambda: self._pay_by_card("initech", 2500)
        yield lambda: self._renew("initech")
        yield lambda: self._agree("acme", 10)
        yield lambda: self._agree("globex", 0)
        yield self._show_events

    def usual_days(self) -> Iterator[Scene]:
        """What happens from then on, without end."""
        while True:
            yield lambda: self._place(_any(TENANTS), _any(TOTALS), _any(tuple(GATEWAYS)))
            yield self._complete
            yield lambda: self._renew(_any(TENANTS))
            if len(self._completed) > 1:
                yield self._refund
            yield lambda: self._pay_by_card(_any(TENANTS), 2500)

    def _show_seeds(self) -> None:
        self._say("storefront", "some orders were completed before bridge started")
        for tenant, _ in SEED_ORDERS:
            self._follow(tenant, 0, by="by the first poll")

    def _place(self, tenant: str, total: int, method: str) -> None:
        order = self._order(tenant, total, status="on-hold", payment_method=method)
        self._awaited.append(order)
        self._say(
            "storefront", f"{order}, by {GATEWAYS[method]}: not paid yet, nothing is credited"
        )

    def _complete(self) -> None:
        order = self._awaited.pop(0)
        before = self._available(order.tenant)
        self._stage.sandbox.set_status(order.id, "completed")
        self._completed.append(order)
        self._say("storefront", f"{order}: the money arrived, the order is completed")
        self._follow(order.tenant, before)

    def _pay_by_card(self, tenant: str, total: int) -> None:
        before = self._available(tenant)
        order = self._order(tenant, total, status="pending", payment_method="sandbox_card")
        self._stage.sandbox.pay(order.id, f"sandbox_{secrets.token_hex(4)}")
        self._stage.sandbox.set_status(order.id, "completed")
        self._completed.append(order)
        self._say("storefront", f"{order}: paid by card and completed")
        self._follow(tenant, before)

    def _refund(self) -> None:
        order = self._completed.pop(0)
        before = self._available(order.tenant)
        self._stage.sandbox.refund(order.id, _decimal(order.total // 5), reason="goodwill")
        self._say("storefront", f"{order}: {money(order.total // 5, CURRENCY)} refunded")
        self._follow(order.tenant, before)

    def _renew(self, tenant: str) -> None:
        answer = self._stage.call(
            "POST",
            "/v1/debits",
            {
                "tenant_id": tenant,
                "amount": PLAN,
                "currency": CURRENCY,
                "purpose": "plan_renewal",
                "description": "Plan renewal",
            },
        )
        self._say("core", f"renews the plan of {tenant} for {money(PLAN, CURRENCY)}")
        if "balance_after" in answer:
            self._tell_balance(tenant, answer["balance_after"], f"entry {answer['id']}")
        else:
            self._say("bridge", f"declined ({answer['code']}): {answer['detail']}")

    def _agree(self, tenant: str, days: int) -> None:
        """Leave a renewal to bridge; one that is due is paid by it, and so tells its end."""
        before = self._available(tenant)
        due = datetime.now(UTC) + timedelta(days=days)
        agreed = {
            "tenant_id": tenant,
            "amount": PLAN,
            "currency": CURRENCY,
            "interval": {"unit": "month", "count": 1},
            "next_due_at": due.isoformat(timespec="seconds"),
            "description": "Plan renewal",
        }
        self._stage.call("PUT", f"/v1/renewals/plan-{tenant}", agreed)
        when = f"in {days} days" if days else "now"
        plan = money(PLAN, CURRENCY)
        self._say("core", f"leaves {tenant}'s renewals to bridge: {plan} a month, due {when}")
        if not days:
            self._follow(tenant, before, by="renewed by bridge")

    def _show_events(self) -> None:
        """Tell what the core was told; events are published a moment after they happened."""
        started = time.monotonic()
        types = self._events()
        while "renewal.paid" not in types and time.monotonic() - started < FOLLOW_TIMEOUT_S:
            time.sleep(_LOOK_AGAIN_S)
            types = self._events()
        told = ", ".join(f"{count} {name}" for name, count in sorted(types.items()))
        self._say("core", f"reads its events: {told}")

    def _events(self) -> Counter[str]:
        events = self._stage.call("GET", "/v1/events?limit=200")["data"]
        return Counter(event["type"] for event in events)

    def _order(self, tenant: str, total: int, **fields: Any) -> Placed:
        order_id = self._stage.sandbox.place_order(_decimal(total), tenant=tenant, **fields)
        return Placed(order_id, tenant, total)

    def _follow(self, tenant: str, before: int, by: str = "") -> None:
        """Wait until the balance follows, and tell it; `by` is how, instead of how soon."""
        started = time.monotonic()
        while time.monotonic() - started < FOLLOW_TIMEOUT_S:
            self._stage.require_daemon()
            if (available := self._available(tenant)) != before:
                waited_s = time.monotonic() - started
                self._tell_balance(tenant, available, by or f"{waited_s:.1f} s later")
                return
            time.sleep(_LOOK_AGAIN_S)
        self._say("bridge", f"{tenant} has still {money(before, CURRENCY)}; see bridge.log")

    def _tell_balance(self, tenant: str, available: int, how: str) -> None:
        self._say("bridge", f"{tenant} has {money(available, CURRENCY)} now ({how})", strong=True)

    def _available(self, tenant: str) -> int:
        answer = self._stage.call("GET", f"/v1/tenants/{tenant}/balances/{CURRENCY}")
        return int(answer.get("available", 0))

    def _say(self, who: str, text: str, *, strong: bool = False) -> None:
        line = Text(f"{datetime.now(UTC):%H:%M:%S}  ", style="dim")
        line.append(f"{who:<10}", style=_STYLES[who])
        line.append(f"  {text}", style="bold" if strong else "")
        self._console.print(line, soft_wrap=True)


def _decimal(minor: int) -> str:
    return format_amount(minor, CURRENCY)


def _any(choices: tuple[T, ...]) -> T:
    return random.choice(choices)  # noqa: S311 - a play needs no secrets
