"""Endpoints that are people: a letter by SMTP, for one event or for all that gathered."""

import re
import smtplib
import ssl
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import ClassVar, Literal, NamedTuple

from bridge.domain.clock import Instant, to_datetime
from bridge.notify.letters import Letter
from bridge.notify.sender import DELIVERED, Body, Sent
from bridge.store.attempts import BECAUSE_MAX

REPLY_S = 10
"""Seconds to wait for each reply of the relay."""

Tls = Literal["starttls", "tls", "none"]

_ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+")


class Relay(NamedTuple):
    """The SMTP server that takes our letters; with TLS its certificate is verified."""

    host: str
    port: int
    tls: Tls
    username: str = ""
    password: str = ""

    def __repr__(self) -> str:
        """Return where it is, and not the password."""
        return f"Relay({self.host}:{self.port})"


@dataclass(frozen=True)
class MailEndpoint:
    """Tenants or operators who are told by letters.

    `write` makes a letter of the events; None where they give no reason for one. `sender` is an
    address, or a name and an address in angle brackets.
    """

    name: str
    types: frozenset[str]
    relay: Relay
    sender: str
    write: Callable[[Sequence[Body]], Letter | None]
    gathers_s: float = 0

    timeout_s: ClassVar[float] = 60

    def send(self, bodies: Sequence[Body], now: Instant) -> Sent:
        """Hand a letter to the relay; what goes wrong is an outcome, and nothing is raised for it.

        The outcome says nothing of the address, which servers like to repeat.
        """
        letter = self.write(bodies)
        if letter is None:
            return Sent(DELIVERED, "no reason for a letter")
        message = self._message(letter, bodies[0]["id"], now)
        try:
            with closing(self._connected()) as smtp:
                refused = smtp.send_message(message, parseaddr(self.sender)[1], letter.to)
                with suppress(OSError, smtplib.SMTPException):  # it has the letter
                    smtp.quit()
        except (OSError, smtplib.SMTPException) as error:
            return _failure(error)
        left_out = f", {len(refused)} refused" if refused else ""
        return Sent(DELIVERED, f"taken for {len(letter.to) - len(refused)} addresses{left_out}")

    def _connected(self) -> smtplib.SMTP:
        """Return a session with the relay, logged in where it wants that."""
        host, port, tls, username, password = self.relay
        if tls == "tls":
            context = ssl.create_default_context()
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=REPLY_S, context=context)
        else:
            smtp = smtplib.SMTP(host, port, timeout=REPLY_S)
        try:
            if tls == "starttls":
                smtp.starttls(context=ssl.create_default_context())
            if username:
                smtp.login(username, password)
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _message(self, letter: Letter, event_id: str, now: Instant) -> EmailMessage:
        """Return the letter as it travels; its Message-ID is the same however often it is sent."""
        message = EmailMessage(SMTP)
        message["From"] = self.sender
        message["To"] = ", ".join(letter.to)
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(to_datetime(now))
        message["Message-ID"] = f"<{event_id}@{parseaddr(self.sender)[1].rpartition('@')[2]}>"
        message["Content-Language"] = letter.language
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence answers
        message.set_content(letter.plain())
        message.add_alternative(letter.html(), subtype="html")
        return message


def _failure(error: Exception) -> Sent:
    """Tell what a failure means: one of the relay's final words about this very letter is final."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
        said = ", ".join(_text(text) for _, text in error.recipients.values())
        because = f"SMTP {codes[0]}: {said}"[:BECAUSE_MAX]
        return Sent("refused", because, final=all(code >= 500 for code in codes))
    if isinstance(error, smtplib.SMTPResponseException):
        because = f"SMTP {error.smtp_code}: {_text(error.smtp_error)}"[:BECAUSE_MAX]
        about_it = isinstance(error, smtplib.SMTPDataError)
        return Sent("refused", because, final=about_it and error.smtp_code >= 500)
    if isinstance(error, TimeoutError):
        return Sent("timeout", f"no reply within {REPLY_S} s")
    because = f"{type(error).__name__}: {_ADDRESS.sub('…', str(error))}"[:BECAUSE_MAX]
    if isinstance(error, smtplib.SMTPNotSupportedError):  # no STARTTLS, or no login
        return Sent("refused", because)
    return Sent("tls" if isinstance(error, ssl.SSLError) else "unreachable", because)


def _text(said: bytes | str) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return _ADDRESS.sub("…", " ".join(text.split()))
