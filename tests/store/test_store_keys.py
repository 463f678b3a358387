"""API keys: shown once, kept as a digest, worthless once revoked."""

import pytest
from sqlalchemy import text

from bridge.domain.errors import InvalidRequestError, NotFoundError
from bridge.store import keys
from bridge.store.database import Database


def test_a_key_is_found_by_its_token_with_its_scopes(database: Database) -> None:
    with database.write() as tx:
        made, token = keys.create(tx, "core", ["read", "debit", "read"], 10)
    with database.read() as tx:
        assert keys.find(tx, token) == made
    assert (made.name, made.scopes, made.created_at, made.revoked_at) == (
        "core",
        ("debit", "read"),
        10,
        None,
    )


def test_only_a_digest_is_stored(database: Database) -> None:
    with database.write() as tx:
        made, token = keys.create(tx, "core", ["read"], 10)
        row = tx.execute(text("SELECT * FROM api_keys")).one()
    secret = token.removeprefix(f"bridge_{made.key_id}_")
    assert len(secret) >= 43, "256 random bits"
    assert secret not in str(list(row))
    assert not any(isinstance(value, bytes) and secret.encode() in value for value in row)


@pytest.mark.parametrize("token", ["", "bridge_", "bridge_00000000_x", "' OR 1=1 --", "ключ"])
def test_a_token_nobody_made_is_no_key(database: Database, token: str) -> None:
    with database.write() as tx:
        keys.create(tx, "core", ["read"], 10)
        assert keys.find(tx, token) is None


def test_a_revoked_key_is_worthless_but_still_listed(database: Database) -> None:
    with database.write() as tx:
        made, token = keys.create(tx, "core", ["read"], 10)
        revoked = keys.revoke(tx, made.key_id, 20)
        assert keys.find(tx, token) is None
        assert keys.revoke(tx, made.key_id, 30) == revoked, "the first time counts"
        assert keys.all_keys(tx) == [made._replace(revoked_at=20)]


def test_revoking_what_is_not_there_says_where_to_look(database: Database) -> None:
    with database.write() as tx, pytest.raises(NotFoundError, match="bridge keys list"):
        keys.revoke(tx, "00000000", 20)


def test_rotation_keeps_the_name_and_both_keys_work_meanwhile(database: Database) -> None:
    with database.write() as tx:
        old, old_token = keys.create(tx, "core", ["debit"], 10)
        new, new_token = keys.create(tx, "core", ["debit"], 20)
        found = [keys.find(tx, token) for token in (old_token, new_token)]
        assert found == [old, new]
        assert {key.name for key in found if key} == {"core"}
        keys.revoke(tx, old.key_id, 30)
        assert keys.find(tx, new_token) == new
        assert [key.key_id for key in keys.all_keys(tx)] == [old.key_id, new.key_id]


@pytest.mark.parametrize(
    ("name", "scopes", "advice"),
    [
        ("core", ["root"], "not root"),
        ("core", [], "not none"),
        ("", ["read"], "1 to 64 printable"),
        ("x" * 65, ["read"], "1 to 64 printable"),
        ("storefront:main", ["read"], "without ':'"),
        ("c\N{CYRILLIC SMALL LETTER O}re", ["read"], "ASCII"),
        ("co\nre", ["read"], "printable"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(
    database: Database, name: str, scopes: list[str], advice: str
) -> None:
    with database.write() as tx:
        with pytest.raises(InvalidRequestError, match=advice):
            keys.create(tx, name, scopes, 10)
        assert keys.all_keys(tx) == []
