"""What is logged, read from the stream it was written to."""

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import structlog

from bridge import logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Keys(NamedTuple):
    name: str
    consumer_secret: str


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    for name in ("apscheduler", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    logs.configure(stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_away_from_a_terminal_each_event_is_one_line_of_json(stream: io.StringIO) -> None:
    structlog.get_logger("bridge.sync.poll").info("poll\nended", orders=3, storefront="main")
    (line,) = lines(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("timestamp"))
    assert line == {
        "event": "poll\nended",
        "level": "info",
        "logger": "bridge.sync.poll",
        "orders": 3,
        "storefront": "main",
    }


def test_the_standard_library_goes_through_the_same_pipeline(stream: io.StringIO) -> None:
    logging.getLogger("urllib3.connectionpool").info("Resetting connection to %s", "here")
    (line,) = lines(stream)
    assert line["event"] == "Resetting connection to here"
    assert (line["logger"], line["level"]) == ("urllib3.connectionpool", "info")
    assert line["timestamp"].endswith("Z")


def test_on_a_terminal_events_are_coloured_text() -> None:
    terminal = Terminal()
    logs.configure(stream=terminal)
    structlog.get_logger().info("poll ended", orders=3)
    assert "\x1b[" in terminal.getvalue()
    assert "poll ended" in terminal.getvalue()


def test_the_form_can_be_chosen_against_the_stream() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    logs.configure(json=True, stream=terminal)
    structlog.get_logger().info("one")
    logs.configure(json=False, stream=pipe)
    structlog.get_logger().info("two")
    assert lines(terminal)[0]["event"] == "one"
    assert "[info     ] two" in pipe.getvalue()
    assert "\x1b[" not in pipe.getvalue()


def test_what_is_below_the_level_is_not_written() -> None:
    stream = io.StringIO()
    logs.configure(level="warning", stream=stream)
    structlog.get_logger().info("quiet")
    logging.getLogger("urllib3").info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_the_scheduler_talks_only_when_debugging(stream: io.StringIO) -> None:
    scheduler = logging.getLogger("apscheduler.executors.default")
    scheduler.info("chatter")
    logs.configure(level="debug", stream=stream)
    scheduler.info("wanted")
    logs.configure(level="error", stream=stream)
    scheduler.warning("below the level")
    assert [line["event"] for line in lines(stream)] == ["wanted"]


def test_an_unknown_level_is_refused_with_advice() -> None:
    with pytest.raises(ValueError, match="'loud' is unknown; use debug, info, warning or error"):
        logs.configure(level="loud")


def test_bound_context_is_in_every_line(stream: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(run=7):
        structlog.get_logger().info("poll began")
    assert lines(stream)[0]["run"] == 7


@pytest.mark.parametrize(
    "name",
    [
        "consumer_key",
        "consumer_secret",
        "webhook_secret",
        "password",
        "token",
        "api_key",
        "Authorization",
        "oauth_signature",
        "oauth_consumer_key",
    ],
)
def test_a_secret_is_masked_under_its_name_however_deep(name: str, stream: io.StringIO) -> None:
    structlog.get_logger().info("request", **{name: "hush"}, nested=[{"headers": {name: "hush"}}])
    (line,) = lines(stream)
    assert line[name] == logs.MASK
    assert line["nested"] == [{"headers": {name: logs.MASK}}]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("key ck_0a1b2c and cs_3d4e5f", "key ck_*** and cs_***"),
        (
            "GET /orders?page=2&oauth_consumer_key=ck_1&oauth_signature=aGk%3D&per_page=5",
            "GET /orders?page=2&oauth_consumer_key=***&oauth_signature=***&per_page=5",
        ),
        ("Authorization: Basic YTpi, Host: x", "Authorization: ***, Host: x"),
        ("{'Authorization': 'Bearer abc.DEF-1~2'}", "{'Authorization': ***}"),
        ("sent Basic Y2tfMTIzNDpjc181Njc4==", "sent Basic ***"),
        ("basic authentication was refused", "basic authentication was refused"),
        ("postgresql://bridge:p@ss@db.test/x", "postgresql://bridge:***@db.test/x"),
        ("postgresql://bridge@db.test/x", "postgresql://bridge@db.test/x"),
        ('{"consumer_secret": "hush hush", "id": 1}', '{"consumer_secret": ***, "id": 1}'),
        ("Settings(webhook_secret='hush hush', port=1)", "Settings(webhook_secret=***, port=1)"),
        ("key bridge_0a1b2c3d_hush-_hush", "key bridge_0a1b2c3d_***"),
        ("paid by jane.doe+x@example.com today", "paid by <e-mail> today"),
        ("GET /customers?search=jane%40example.com", "GET /customers?search=<e-mail>"),
        ("pay at ?key=wc_order_AbC123", "pay at ?key=wc_order_***"),
        ("consumer_key_file=keys/main is missing", "consumer_key_file=keys/main is missing"),
        ("idempotency_key=renewal-7", "idempotency_key=renewal-7"),
        ("duck_pond and cs", "duck_pond and cs"),
    ],
)
def test_text_loses_its_secrets_and_addresses_and_nothing_else(
    text: str, written: str, stream: io.StringIO
) -> None:
    structlog.get_logger().info(text, body={"said": [text]})
    logging.getLogger("urllib3.connectionpool").warning("%s", text)
    ours, theirs = lines(stream)
    assert ours["event"] == theirs["event"] == written
    assert ours["body"] == {"said": [written]}


def test_exceptions_lose_their_secrets_with_all_their_causes(stream: io.StringIO) -> None:
    secret, address = "hush", "jane@example.com"  # not in the source line a traceback quotes

    def ask() -> None:
        raise OSError(f"no route for ?oauth_consumer_key={secret}")

    def fail() -> None:
        try:
            ask()
        except OSError as error:
            raise RuntimeError(f"{address} has no wallet") from error

    for as_json in (True, False):
        logs.configure(json=as_json, stream=stream)
        try:
            fail()
        except RuntimeError as error:
            structlog.get_logger().exception("poll failed", error=error)
            logging.getLogger("uvicorn.error").exception("request failed")
    written = stream.getvalue()
    assert written.count("OSError: no route for ?oauth_consumer_key=***") == 4
    assert written.count("RuntimeError: <e-mail> has no wallet") == 4
    assert "?oauth_consumer_key=hush" not in written
    assert "jane@example.com has" not in written


def test_objects_are_written_as_redacted_text(stream: io.StringIO) -> None:
    structlog.get_logger().info(
        "loaded", keys=Keys("main", "hush"), where=io.BytesIO, names={"cs_hush"}, held=None, on=True
    )
    (line,) = lines(stream)
    assert line["keys"] == {"name": "main", "consumer_secret": logs.MASK}
    assert line["where"] == "<class '_io.BytesIO'>"
    assert line["names"] == ["cs_***"]
    assert (line["held"], line["on"]) == (None, True)
