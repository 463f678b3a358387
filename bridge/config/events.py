"""The settings of events: who is told of them, what is an alert, and how letters are sent."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from bridge.config.fields import (
    Currency,
    EndpointName,
    SecretFile,
    SecretFiles,
    Section,
    web_address,
)
from bridge.domain.alert import Threshold
from bridge.domain.clock import DAY, SECOND, Instant
from bridge.domain.delivery import GIVE_UP_AFTER
from bridge.domain.event_types import chosen
from bridge.domain.mailbox import is_mailbox
from bridge.domain.money import AMOUNT_MAX

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""The names of this machine, between which and bridge nobody reads along."""


_PRINTED = re.compile("[!-~]+")


def _endpoint_url(value: str, info: ValidationInfo) -> str:
    address, _, query = value.partition("?")
    web_address(address, insecure_http=True)
    if not _PRINTED.fullmatch(value) or "#" in query:
        raise ValueError(
            "is no address that can be posted to; write it in ASCII, without blanks or #"
        )
    if value.startswith("http:") and not info.data.get("allow_private"):
        raise ValueError(
            "uses http, which anybody on the way can read; use https, or set allow_private = true "
            "for an address inside your own network"
        )
    return value


def _types(value: tuple[str, ...]) -> tuple[str, ...]:
    chosen(value)
    return value


class Endpoint(Section):
    """[[events.endpoints]]: one receiver of events, by Standard Webhooks."""

    name: EndpointName = Field(examples=["core"])
    allow_private: bool = False  # stands before `url`, whose check asks for it
    url: Annotated[str, AfterValidator(_endpoint_url)] = Field(
        examples=["https://core.example.com/bridge-events"]
    )
    secret_file: SecretFiles = Field(min_length=1, examples=["secrets/events_core"])
    types: Annotated[tuple[str, ...], AfterValidator(_types)] = Field(
        default=(), examples=[["renewal.*", "wallet.*"]]
    )
    timeout_s: float = Field(default=15, ge=1, le=60)
    workers: int = Field(default=4, ge=1, le=32)

    @property
    def wanted(self) -> frozenset[str]:
        """The types it is told of."""
        return frozenset(chosen(self.types))


class Events(Section):
    """[events]: how long they are kept, and who is told."""

    # Never shorter than they are tried.
    kept_days: int = Field(default=90, ge=2 * GIVE_UP_AFTER // DAY + 1, le=3650)
    endpoints: tuple[Endpoint, ...] = ()


class Alerts(Section):
    """[alerts]: what is a low balance where a tenant's notices do not say."""

    cooldown_s: int = Field(default=86_400, ge=60, le=30 * 86_400)
    next_renewal: bool = True
    below: dict[Currency, Annotated[int, Field(ge=0, le=AMOUNT_MAX)]] = Field(
        default={}, examples=[{"EUR": 500}]
    )

    @property
    def cooldown(self) -> Instant:
        """The pause between two alerts of a wallet."""
        return self.cooldown_s * SECOND

    def thresholds(self) -> dict[str, Threshold]:
        """What is low, by currency."""
        return {code: Threshold(minor, self.next_renewal) for code, minor in self.below.items()}

    def otherwise(self) -> Threshold:
        """What is low in other currencies."""
        return Threshold(next_renewal=self.next_renewal)


def _mailbox(value: str) -> str:
    if not is_mailbox(value):
        raise ValueError("is no plain e-mail address; write one such as ops@example.com")
    return value


_HOST = re.compile("[A-Za-z0-9._-]+|[0-9A-Fa-f:]+")


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError(
            "is no name of a server; write it alone, such as smtp.example.com, and its port as port"
        )
    return value


_NAMED = re.compile(r"[^<>@,;:\"\\]+ <(.+)>")


def _sender(value: str) -> str:
    named = _NAMED.fullmatch(value)
    if not value.isprintable() or not is_mailbox(named[1] if named else value):
        raise ValueError(
            'is no sender; write an address, with a name or without: "Me <me@example.com>"'
        )
    return value


class Email(Section):
    """[email]: letters to tenants and operators; without `host` none are sent."""

    host: Annotated[str, AfterValidator(_host)] | None = Field(
        default=None, examples=["smtp.example.com"]
    )
    port: int = Field(default=587, ge=1, le=65_535)
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = Field(default=None, min_length=1, examples=["bridge"])
    password_file: SecretFile | None = Field(default=None, examples=["secrets/smtp"])
    sender: Annotated[str, AfterValidator(_sender)] | None = Field(
        default=None, examples=["Billing <billing@example.com>"]
    )
    operators: tuple[Annotated[str, AfterValidator(_mailbox)], ...] = Field(
        default=(), examples=[["ops@example.com"]]
    )
    tenants: bool = True
    offer_expires_in_days: int = Field(default=14, ge=1, le=90)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.host and not self.sender:
            raise ValueError(
                'has a host, but no sender; write for example sender = "billing@example.com"'
            )
        if (self.username is None) != (self.password_file is None):
            raise ValueError("needs username and password_file together, or neither of them")
        if self.host and self.tls == "none" and self.host not in LOOPBACK:
            raise ValueError(
                'has tls = "none", so that anybody on the way can read letters and password; '
                'write "starttls" or "tls" ("none" only to this machine)'
            )
        if self.operators and not self.host:
            raise ValueError(
                'has operators to tell, but no host; write for example host = "smtp.example.com"'
            )
        return self
