"""An SMTP server on the loopback: keeps the letters it takes, refuses as told."""

import contextlib
import ssl
from asyncio import Server
from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword

from bridge.notify.mail import Relay, Tls
from tests.notify.receiver import NAME, TLS

PASSWORD = "open sesame"


class Post:
    """What a relay was given, and what it says to it."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.recipient = "250 OK"
        self.message = "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        said = self.recipient.replace("{address}", address)
        if said.startswith("250"):
            envelope.rcpt_tos.append(address)
        return said

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Envelope
    ) -> str:
        if self.message.startswith("250"):
            content = envelope.original_content
            assert content is not None
            self.letters.append(BytesParser(EmailMessage, policy=default).parsebytes(content))
            self.envelopes.append(envelope)
        return self.message


class _Controller(Controller):
    def _trigger_server(self) -> None:
        """Learn the port that was free, which the package itself would not."""
        assert isinstance(self.server, Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]  # the package is half typed


@contextlib.contextmanager
def relaying(post: Post, tls: Tls = "none", *, login: bool = False) -> Iterator[Relay]:
    """Run a relay that hands what it takes to `post`; with TLS it is NAME's.

    A login is to be had with STARTTLS only: of TLS from the start the package does not know.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "server.pem")
    how: dict[str, Any] = {}
    if tls == "starttls":
        how = {"tls_context": context, "require_starttls": True}
    elif tls == "tls":
        how = {"ssl_context": context}
    if login:
        how |= {
            "authenticator": _allow,
            "auth_required": True,
            "auth_require_tls": tls == "starttls",
        }
    controller = _Controller(post, hostname="127.0.0.1", port=0, **how)
    controller.start()
    host = "127.0.0.1" if tls == "none" else NAME
    try:
        yield Relay(host, controller.port, tls, *(("bridge", PASSWORD) if login else ()))
    finally:
        controller.stop()


def _allow(
    server: Any, session: Any, envelope: Any, mechanism: str, given: LoginPassword
) -> AuthResult:
    right = given.password == PASSWORD.encode()
    return AuthResult(success=right, handled=right)
