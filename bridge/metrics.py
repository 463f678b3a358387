"""What bridge counts and measures, in a registry of its own; /metrics shows `exposition()`.

Names are those of the collectors below behind "bridge_". Labels take few values: storefront names,
route templates, kinds and verdicts, never tenants or orders.
"""

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from bridge import __version__

# Otherwise every counter and histogram has a second series, "_created", that nobody asked for.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the package leaves it unannotated

registry = CollectorRegistry()
ProcessCollector(registry=registry)
GCCollector(registry=registry)

info = Info("bridge", "The version of bridge that is running.", registry=registry)
info.info({"version": __version__})

# The API and its batches.
requests_total = Counter(
    "bridge_requests_total",
    "API requests answered, by route template and HTTP status.",
    ("route", "status"),
    registry=registry,
)
request_seconds = Histogram(
    "bridge_request_seconds",
    "Seconds from an API request's arrival to its answer.",
    ("route",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
    registry=registry,
)
batch_size = Histogram(
    "bridge_batch_size",
    "Drafts that shared one commit.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
    registry=registry,
)
batch_seconds = Histogram(
    "bridge_batch_seconds",
    "Seconds it took to post one batch, its commit included.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
    registry=registry,
)
backlog = Gauge("bridge_backlog", "Calls that wait for the next batch.", registry=registry)
drafts_total = Counter(
    "bridge_drafts_total",
    "Drafts decided, by kind and outcome (posted, replayed, declined).",
    ("kind", "outcome"),
    registry=registry,
)

# Runs and the orders they read.
runs_total = Counter(
    "bridge_runs_total",
    "Runs ended, by storefront, kind (poll, sweep, ingest, watch, reconcile) and outcome.",
    ("storefront", "kind", "outcome"),
    registry=registry,
)
run_seconds = Histogram(
    "bridge_run_seconds",
    "Seconds a run took, by kind.",
    ("kind",),
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
    registry=registry,
)
orders_total = Counter(
    "bridge_orders_total",
    "Orders settled, by storefront and verdict.",
    ("storefront", "verdict"),
    registry=registry,
)
orders_held = Gauge(
    "bridge_orders_held",
    "Orders that are not credited and wait for someone to act.",
    ("storefront",),
    registry=registry,
)

# Storefronts and their webhooks.
storefront_last_success_timestamp_seconds = Gauge(
    "bridge_storefront_last_success_timestamp_seconds",
    "Unix time of the last poll of a storefront that succeeded.",
    ("storefront",),
    registry=registry,
)
storefront_requests_total = Counter(
    "bridge_storefront_requests_total",
    "Requests made to a storefront, by outcome: answered, or the code of the error.",
    ("storefront", "outcome"),
    registry=registry,
)
hints_total = Counter(
    "bridge_hints_total",
    "Webhooks by what became of them (received, ping, bad_signature, junk, too_large, closed).",
    ("storefront", "result"),
    registry=registry,
)
inbox_waiting = Gauge(
    "bridge_inbox_waiting", "Hints that wait for the next ingest.", registry=registry
)

# Renewals.
renewals_total = Counter(
    "bridge_renewals_total",
    "Renewals by what happened when they were looked at (upcoming, paid, payment_failed, lapsed,"
    " put_off).",
    ("outcome",),
    registry=registry,
)
renewals_late_seconds = Gauge(
    "bridge_renewals_late_seconds",
    "How late the renewal is that should have been looked at first.",
    registry=registry,
)

# Events and who is told of them.
events_published_total = Counter(
    "bridge_events_published_total", "Events published, by type.", ("type",), registry=registry
)
outbox_oldest_seconds = Gauge(
    "bridge_outbox_oldest_seconds",
    "How long the fact has waited that should have been published first.",
    registry=registry,
)
deliveries_total = Counter(
    "bridge_deliveries_total",
    "Attempts to deliver an event, by endpoint and outcome (delivered, or the kind of failure).",
    ("endpoint", "outcome"),
    registry=registry,
)
delivery_seconds = Histogram(
    "bridge_delivery_seconds",
    "Seconds an attempt to deliver took, by endpoint.",
    ("endpoint",),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
    registry=registry,
)
lanes_behind = Gauge(
    "bridge_lanes_behind",
    "Tenants with events that an endpoint was not told of yet.",
    ("endpoint",),
    registry=registry,
)
dead_letters = Gauge(
    "bridge_dead_letters",
    "Events that were given up after days of attempts.",
    ("endpoint",),
    registry=registry,
)

# The scheduler.
scheduler_errors_total = Counter(
    "bridge_scheduler_errors_total",
    "Scheduled tasks that ended in an error.",
    ("task",),
    registry=registry,
)
scheduler_misses_total = Counter(
    "bridge_scheduler_misses_total",
    "Scheduled tasks that were not started at their time.",
    ("task",),
    registry=registry,
)


def exposition() -> tuple[bytes, str]:
    """Return the body and content type of /metrics, in the text format every scraper reads."""
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4
