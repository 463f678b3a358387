"""What goes wrong between a storefront and its clients, to be switched on by a test or a demo."""

import threading
from typing import NamedTuple

from bridge.sandbox.wire import CRITICAL_ERROR_PAGE, Request, Response, RestError


class Fault(NamedTuple):
    """One way to misbehave.

    `instead` answers without executing the request. Otherwise it is executed (unless `executes` is
    False), and then delayed, prefixed, or, where not `answers`, left without an answer: the
    connection is dropped at once, or with `hangs` held open in silence until the sandbox stops.
    """

    instead: Response | None = None
    prefix: bytes = b""
    delay_s: float = 0.0
    executes: bool = True
    answers: bool = True
    hangs: bool = False


BOM = Fault(prefix=b"\xef\xbb\xbf")
PHP_NOTICE = Fault(
    prefix=b"<br />\n<b>Warning</b>:  Undefined variable $x in <b>x.php</b> on line 1<br />\n"
)
MAINTENANCE = Fault(
    Response.html(
        "<!DOCTYPE html><p>Briefly unavailable for scheduled maintenance.",
        503,
        {"Retry-After": "600"},
    )
)
CRITICAL_ERROR = Fault(CRITICAL_ERROR_PAGE)
UNAUTHORIZED = Fault(
    RestError("woocommerce_rest_cannot_view", "Sorry, you cannot list resources.", 401).response()
)
WRONG_CONTENT = Fault(Response.html("<!DOCTYPE html><title>Welcome</title>"))
DROPPED = Fault(executes=False, answers=False)
LOST_ANSWER = Fault(answers=False)
SILENT = Fault(answers=False, hangs=True)


def slow(delay_s: float) -> Fault:
    """Answer rightly, but late."""
    return Fault(delay_s=delay_s)


def redirect(location: str, status: int = 301) -> Fault:
    """Send every client elsewhere."""
    return Fault(Response.redirect(location, status))


def busy(retry_after_s: int, status: int = 503) -> Fault:
    """Ask every client to come back later."""
    return Fault(Response.html("Come back later.", status, {"Retry-After": str(retry_after_s)}))


class Faults:
    """The switchboard. Orders in `broken_orders` make every answer with them a 500, always."""

    def __init__(self) -> None:
        self.broken_orders: set[int] = set()
        self._lock = threading.Lock()
        self._fault: Fault | None = None
        self._times: int | None = None
        self._path_part = ""

    def switch_on(self, fault: Fault, *, times: int | None = None, path_part: str = "") -> None:
        """Misbehave until switched off, or so many times; only where the path has `path_part`."""
        with self._lock:
            self._fault, self._times, self._path_part = fault, times, path_part

    def switch_off(self) -> None:
        """Behave again; broken orders stay broken."""
        with self._lock:
            self._fault = None

    def strike(self, request: Request) -> Fault | None:
        """Return the fault that this request meets, counting it."""
        with self._lock:
            fault = self._fault if self._path_part in request.path else None
            if fault and self._times is not None:
                self._times -= 1
                if self._times == 0:
                    self._fault = None
            return fault
