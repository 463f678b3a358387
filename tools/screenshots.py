"""Take the pictures of the tenants' page that the README shows.

Usage: python -m tools.screenshots [DIRECTORY]. A made-up tenant on a made-up day, in headless
Chromium; the directory is docs/images unless named.
"""

import contextlib
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import uvicorn
from playwright.sync_api import Browser, ViewportSize, sync_playwright

from bridge.api.pages.app import portal_app
from bridge.domain.clock import DAY
from bridge.domain.entry import Kind
from bridge.domain.renewal import Unit
from bridge.store.database import Database
from bridge.store.migrations import migrate
from tests.browser.walking import CHROMIUM, DESK, PHONE
from tests.conftest import FakeClock
from tests.pages.visiting import Site

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
DAYS_A_YEAR = 360

LOGO = b"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="9" fill="#6d4bb3"/>
<path d="M9 20c0-6 14-2 14-8M9 12c0 6 14 2 14 8" stroke="#fff" stroke-width="2.6"
 fill="none" stroke-linecap="round"/></svg>"""


class Picture(NamedTuple):
    """A page as somebody sees it."""

    name: str
    path: str
    scheme: str
    size: ViewportSize
    language: str = "en"


def main(arguments: Sequence[str]) -> None:
    """Take every picture."""
    directory = Path(arguments[0]) if arguments else IMAGES
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        site = made_up(Path(place))
        request = site.request(99900, description="Plan Enterprise, one year")
        deposit = site.deposit(10000, bonus=500, order_status="on-hold")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with served(site) as url:
            for picture in pictures(request.request_id, deposit.deposit_id):
                take(browser, site, url, picture, directory)
        browser.close()
        site.database.close()


def pictures(request_id: str, deposit_id: str) -> list[Picture]:
    """Return what is taken."""
    return [
        Picture("overview-light-desktop", "", "light", DESK),
        Picture("overview-dark-desktop", "", "dark", DESK, "de"),
        Picture("overview-light-phone", "", "light", PHONE),
        Picture("deposit-light-phone", "deposit?currency=EUR", "light", PHONE),
        Picture("pay-dark-phone", f"requests/{request_id}", "dark", PHONE),
        Picture("waiting-dark-phone", f"deposits/{deposit_id}", "dark", PHONE, "de"),
        Picture("ahead-light-phone", "ahead", "light", PHONE),
        Picture("ahead-dark-desktop", "ahead?months=24", "dark", DESK),
    ]


def made_up(place: Path) -> Site:
    """Return the page of a tenant with a year behind it."""
    database = Database(f"sqlite:///{place / 'bridge.db'}")
    migrate(database)
    clock = FakeClock()
    today = clock()
    site = Site(database, clock, logo=LOGO, logo_type="image/svg+xml")
    plans = ((1900, "Plan Pro"), (4900, "Plan Team"), (2900, "Extra storage"))
    for number, days in enumerate(range(DAYS_A_YEAR, 2, -12)):
        clock.now = today - days * DAY
        amount, name = plans[number % 3]
        if site.balance() < 3 * amount:
            site.fund((10_000, 25_000, 20_000)[number % 3], order_id=1000 + number)
        else:
            site.debit(amount, f"renewal-{number}", description=name)
    clock.now = today - 2 * DAY
    site.debit(1500, "domain", Kind.HOLD, expires_at=today + DAY, description="Domain order")
    site.request(1900)
    clock.now = today
    site.renew("pro", 1900, today + 9 * DAY, description="Plan Pro")
    site.renew("storage", 2900, today + 20 * DAY, units=3, description="Extra storage")
    site.renew("domain", 1500, today + 100 * DAY, unit=Unit.YEAR, description="example.com")
    return site


@contextlib.contextmanager
def served(site: Site) -> Iterator[str]:
    """Serve the page on loopback; yield its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(portal_app(site.services), log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def take(browser: Browser, site: Site, url: str, picture: Picture, directory: Path) -> None:
    """Open the page as a tenant does, and keep how it looks."""
    density = 2 if picture.size is PHONE else 1
    tab = browser.new_context(
        viewport=picture.size,
        color_scheme="dark" if picture.scheme == "dark" else "light",
        device_scale_factor=density,
    )
    with tab:
        page = tab.new_page()
        page.goto(url + site.link(language=picture.language))
        page.wait_for_url("**/billing/")
        page.goto(f"{url}/billing/{picture.path}")
        page.screenshot(path=directory / f"{picture.name}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
