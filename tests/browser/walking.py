"""A real browser in front of a real daemon, beside the sandbox."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from bridge.domain.clock import DAY, HOUR, Instant, isoformat, utc_now
from bridge.domain.offer import Offers
from bridge.domain.signing import derived
from bridge.sandbox import Sandbox
from tests.installation import LINK_KEYS, SIGNING_KEY, Daemon, free_port, installed, running

CHROMIUM = Path("/usr/bin/chromium")
PHONE: ViewportSize = {"width": 390, "height": 844}
DESK: ViewportSize = {"width": 1280, "height": 900}

LOOK = """\
name = "Example Cloud"
accent = "#5b3a8c"
accent_dark = "#b99cf0"
"""

WAIT_MAX_MS = 15_000
expect.set_options(timeout=WAIT_MAX_MS)

# Computed by the browser itself: every text against the nearest background that is painted.
CONTRASTS = """
() => {
  const channels = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = channels(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return channels("rgb(255, 255, 255)");
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const said = [...element.childNodes]
      .filter((node) => node.nodeType === 3)
      .map((node) => node.data.trim())
      .join("");
    if (!said || element.disabled || element.closest("noscript, svg")) continue;
    const [a, b] = [channels(getComputedStyle(element).color), behind(element)].map(light);
    found.push([said, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
  }
  return found;
}
"""

# What can be pressed: its accessible size, or that of the row it fills.
TARGETS = """
() => [...document.querySelectorAll("a, button, input, select")]
  .filter((element) => !element.matches(".hidden, [type=hidden], [type=radio]"))
  .map((element) => [element.outerHTML.slice(0, 90), element.getBoundingClientRect().height])
"""


class World(NamedTuple):
    """Everything that runs: a storefront, bridge, a browser."""

    sandbox: Sandbox
    daemon: Daemon
    browser: Browser

    def fund(self, tenant: str, amount: int) -> None:
        """Give a tenant a balance."""
        ask = {
            "tenant_id": tenant,
            "amount": amount,
            "currency": "EUR",
            "reason": "for the walk",
            "actor": "test",
        }
        self.post("/v1/adjustments", ask, key=f"fund-{tenant}-{amount}")

    def request(self, tenant: str, amount: int, **more: Any) -> str:
        """Put something up for payment; return its id."""
        ask = {
            "tenant_id": tenant,
            "amount": amount,
            "currency": "EUR",
            "purpose": "plan_purchase",
            "description": "Plan Pro, one year",
            "card_url": "https://core.example/card",
            "paypal_url": "https://core.example/paypal",
        }
        made = self.post("/v1/payment-requests", ask | more, key=f"request-{tenant}-{amount}")
        return str(made["id"])

    def request_status(self, request_id: str) -> str:
        with self.daemon.client() as core:
            return str(core.get(f"/v1/payment-requests/{request_id}").json()["status"])

    def renew(self, tenant: str, amount: int, due_at: Instant, **more: Any) -> None:
        """Agree on a renewal every month; its reference is the tenant's id."""
        ask = {
            "tenant_id": tenant,
            "amount": amount,
            "currency": "EUR",
            "interval": {"unit": "month", "count": 1},
            "next_due_at": isoformat(due_at),
            "description": "Plan Pro",
        }
        with self.daemon.client() as core:
            answer = core.put(f"/v1/renewals/{tenant}", json=ask | more)
        assert answer.status_code == 201, answer.text

    def renewal_status(self, tenant: str) -> str:
        with self.daemon.client() as core:
            return str(core.get(f"/v1/renewals/{tenant}").json()["status"])

    def overdue(self, tenant: str, amount: int, **more: Any) -> None:
        """Agree on a renewal that is due, and wait until bridge could not pay it."""
        self.renew(tenant, amount, utc_now() - HOUR, **more)
        self.daemon.wait_until(lambda: self.renewal_status(tenant) == "overdue")

    def offer(self, tenant: str, amount: int, home: str) -> str:
        """A link as letters and events have it; `home` is where the tenants' page is."""
        keys = derived([SIGNING_KEY], "deposit-offer")
        offers = Offers(home.removesuffix("/billing/"), keys, DAY, ("EUR",))
        return offers.link(tenant, amount, "EUR", utc_now())

    def post(self, path: str, ask: Any, key: str) -> Any:
        """Ask the API as the SaaS core does."""
        with self.daemon.client() as core:
            answer = core.post(path, json=ask, headers={"Idempotency-Key": key})
        assert answer.status_code == 201, answer.text
        return answer.json()

    @contextlib.contextmanager
    def visit(self, tenant: str, *, language: str = "en", **context: Any) -> Iterator[Page]:
        """Open a tenant's page in a fresh browser, as the SaaS core would have it opened."""
        ask = {"tenant_id": tenant, "language": language, "can": ["deposit", "pay"]}
        link = self.post("/v1/portal-sessions", ask, key="")["url"]
        with self.browser.new_context(viewport=PHONE, **context) as tab:
            page = tab.new_page()
            page.set_default_timeout(WAIT_MAX_MS)
            page.goto(link)
            page.wait_for_url("**/billing/")
            yield page


@contextlib.contextmanager
def world(directory: Path) -> Iterator[World]:
    """Start everything. No webhooks, and no poll while it runs: the watch alone sees payments."""
    portal = f"127.0.0.1:{free_port()}"
    with Sandbox(companion_keys=LINK_KEYS) as sandbox, sync_playwright() as playwright:
        installation = installed(directory, sandbox, portal=portal)
        installation.edit("[portal]\n", f"[portal]\n{LOOK}")
        installation.edit('name = "main"', 'name = "main"\npoll_interval_s = 86400')
        assert installation.bridge("migrate").returncode == 0
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with running(installation) as daemon:
            yield World(sandbox, daemon, browser)
            browser.close()
            daemon.stop()
