"""What no table can know alone: settings that need each other, and the files they name."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bridge.config import secrets
from bridge.config.deposits import LOGO_TYPES, Portal
from bridge.config.mistakes import Mistake, Place
from bridge.config.model import Api, Webhooks
from bridge.config.written import Table, merged, storefronts, table, tables, texts

SIGNING_KEY_LENGTH_MIN = 32
"""Characters of a signing key; nobody may guess one."""

LOGO_BYTES_MAX = 256 * 2**10

# Standard Webhooks: 24 to 64 bytes in base64, behind a prefix.
_EVENT_SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{32,86}={0,2}")

_LISTENERS = {"api": Api().listen, "webhooks": Webhooks().listen, "portal": Portal().listen}
_LINE_RULES = ("deposit_product_ids", "deposit_skus", "deposit_fee_names")


def found(said: Table) -> Iterator[Mistake]:
    """Check on what was written, whatever else is wrong with it."""
    if isinstance(said.get("storefronts"), dict):
        yield Mistake(("storefronts",), "write [[storefronts]], in two pairs of brackets")
    if isinstance(table(said, "events").get("endpoints"), dict):
        yield Mistake(
            ("events", "endpoints"), "write [[events.endpoints]], in two pairs of brackets"
        )
    yield from _listeners(said)
    yield from _names(("storefronts",), storefronts(said), "storefront")
    yield from _names(("events", "endpoints"), _endpoints(said), "endpoint")
    for number, row in enumerate(storefronts(said)):
        yield from _rules(number, row, table(said, "crediting"))
    yield from _signing(said)
    yield from _plans(said)


def files(said: Table, directory: Path, *, with_secrets: bool) -> Iterator[Mistake]:
    """Check the files that are named; of secrets only if told to."""
    yield from _logo(table(said, "portal").get("logo_file"), directory)
    for number, row in enumerate(storefronts(said)):
        if isinstance(named := row.get("ca_file"), str) and not (directory / named).is_file():
            yield Mistake(
                ("storefronts", number, "ca_file"), f"{named!r} is no file; name one in PEM form"
            )
    if with_secrets:
        yield from _secret_files(said, directory)


def _listeners(said: Table) -> Iterator[Mistake]:
    taken: dict[str, str] = {}
    for name, default in _LISTENERS.items():
        if name == "portal" and not table(said, name).get("public_url"):
            continue  # then nobody listens there
        address = str(table(said, name).get("listen", default))
        if address in taken:
            yield Mistake(
                (name, "listen"),
                f"is the address of [{taken[address]}] too ({address}); each has one of its own",
            )
        if not address.endswith(":0"):
            taken[address] = name


def _names(place: Place, rows: list[Table], what: str) -> Iterator[Mistake]:
    names = Counter(str(row["name"]) for row in rows if "name" in row)
    for number, row in enumerate(rows):
        name = row.get("name")
        if names[str(name)] > 1:
            yield Mistake(
                (*place, number, "name"),
                f"{name!r} is used {names[str(name)]} times; every {what} has its own name",
            )


def _rules(number: int, row: Table, above: Table) -> Iterator[Mistake]:
    rules = merged(above, table(row, "crediting"))
    by_line = row.get("sku_prefix") or any(rules.get(name) for name in _LINE_RULES)
    if rules.get("amount") == "deposit_lines" and not by_line:
        yield Mistake(
            ("storefronts", number, "crediting", "amount"),
            "is deposit_lines, but nothing says which lines are deposits; write "
            f"{', '.join(_LINE_RULES)} or the storefront's sku_prefix",
        )
    places = row.get("tag_places")
    if isinstance(places, list) and "sku" in places and not row.get("sku_prefix"):
        yield Mistake(
            ("storefronts", number, "tag_places"),
            'has "sku", but no prefix to find the tenant behind; write for example '
            'sku_prefix = "DEPOSIT:"',
        )


def _signing(said: Table) -> Iterator[Mistake]:
    if table(said, "signing").get("key_file"):
        return
    if _currencies(said) or table(said, "portal").get("public_url"):
        yield Mistake(
            ("signing", "key_file"),
            "is missing, but deposits and the tenants' page are signed; write for example "
            'key_file = "secrets/signing_key", a file made with: openssl rand -hex 32',
        )


def _plans(said: Table) -> Iterator[Mistake]:
    taken = _currencies(said)
    ids = Counter(str(row["id"]) for row in tables(said, "plans") if "id" in row)
    for number, row in enumerate(tables(said, "plans")):
        plan, currency = str(row.get("id")), row.get("currency")
        if ids[plan] > 1:
            yield Mistake(
                ("plans", number, "id"), f"{plan!r} is used {ids[plan]} times; each is one plan"
            )
        if currency is not None and currency not in taken:
            yield Mistake(
                ("plans", number, "currency"),
                f"is {currency}, in which nothing can be deposited; write [[deposits.currencies]] "
                "for it",
            )


def _endpoints(said: Table) -> list[Table]:
    return tables(table(said, "events"), "endpoints")


def _currencies(said: Table) -> set[str]:
    """Return the currencies in which some storefront takes deposits."""
    places = [said, *storefronts(said)]
    rows = [row for place in places for row in tables(table(place, "deposits"), "currencies")]
    return {str(row.get("currency")) for row in rows}


def _logo(named: object, directory: Path) -> Iterator[Mistake]:
    if not isinstance(named, str):
        return
    path = directory / named
    place = ("portal", "logo_file")
    if path.suffix.lower() not in LOGO_TYPES:
        yield Mistake(place, f"{named!r} is no picture; name a {', '.join(LOGO_TYPES)} file")
    elif not path.is_file():
        yield Mistake(place, f"{named!r} is no file; name one")
    elif path.stat().st_size > LOGO_BYTES_MAX:
        yield Mistake(place, f"{named!r} is larger than {LOGO_BYTES_MAX // 2**10} KiB; shrink it")


def _secret_files(said: Table, directory: Path) -> Iterator[Mistake]:
    for reference in texts(table(said, "signing").get("key_file")):
        place = ("signing", "key_file")
        yield from _secret(place, reference, directory, length_min=SIGNING_KEY_LENGTH_MIN)
    for number, row in enumerate(storefronts(said)):
        for key in ("consumer_key_file", "consumer_secret_file", "webhook_secret_file"):
            for reference in texts(row.get(key)):
                yield from _secret(("storefronts", number, key), reference, directory)
    for number, row in enumerate(_endpoints(said)):
        for reference in texts(row.get("secret_file")):
            at: Place = ("events", "endpoints", number, "secret_file")
            yield from _event_secret(at, reference, directory)
    for reference in texts(table(said, "email").get("password_file")):
        yield from _secret(("email", "password_file"), reference, directory)


def _event_secret(place: Place, reference: str, directory: Path) -> Iterator[Mistake]:
    unreadable = list(_secret(place, reference, directory))
    yield from unreadable
    if not unreadable and not _EVENT_SECRET.fullmatch(secrets.read(reference, directory)):
        yield Mistake(
            place,
            f"{reference!r} holds no secret of Standard Webhooks; make one with: "
            "echo whsec_$(openssl rand -base64 32)",
        )


def _secret(
    place: Place, reference: str, directory: Path, *, length_min: int = 1
) -> Iterator[Mistake]:
    try:
        secret = secrets.read(reference, directory)
    except secrets.SecretFileError as error:
        yield Mistake(place, str(error))
        return
    if len(secret) < length_min:
        yield Mistake(
            place,
            f"{reference!r} is shorter than {length_min} characters; make one with: "
            "openssl rand -hex 32",
        )
