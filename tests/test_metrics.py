"""The metrics as a scraper reads them.

Labels of this file alone are counted, because other tests count in the same process.
"""

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from bridge import __version__, metrics

OURS: dict[str, set[str]] = {
    "bridge_info": {"version"},
    "bridge_requests_total": {"route", "status"},
    "bridge_request_seconds": {"route"},
    "bridge_batch_size": set(),
    "bridge_batch_seconds": set(),
    "bridge_backlog": set(),
    "bridge_drafts_total": {"kind", "outcome"},
    "bridge_runs_total": {"storefront", "kind", "outcome"},
    "bridge_run_seconds": {"kind"},
    "bridge_orders_total": {"storefront", "verdict"},
    "bridge_orders_held": {"storefront"},
    "bridge_hints_total": {"storefront", "result"},
    "bridge_inbox_waiting": set(),
    "bridge_storefront_last_success_timestamp_seconds": {"storefront"},
    "bridge_storefront_requests_total": {"storefront", "outcome"},
    "bridge_renewals_total": {"outcome"},
    "bridge_renewals_late_seconds": set(),
    "bridge_events_published_total": {"type"},
    "bridge_outbox_oldest_seconds": set(),
    "bridge_deliveries_total": {"endpoint", "outcome"},
    "bridge_delivery_seconds": {"endpoint"},
    "bridge_lanes_behind": {"endpoint"},
    "bridge_dead_letters": {"endpoint"},
    "bridge_scheduler_errors_total": {"task"},
    "bridge_scheduler_misses_total": {"task"},
}


def scraped() -> dict[str, Metric]:
    body, _ = metrics.exposition()
    return {family.name: family for family in text_string_to_metric_families(body.decode())}


def test_exactly_the_promised_metrics_are_exposed() -> None:
    # The parser takes "_total" off a counter's name.
    promised = {name.removesuffix("_total") for name in OURS}
    assert {name for name in scraped() if name.startswith("bridge_")} == promised


@pytest.mark.parametrize(("name", "labels"), OURS.items(), ids=OURS)
def test_a_metric_is_found_by_its_name_and_takes_its_labels(name: str, labels: set[str]) -> None:
    collector = getattr(metrics, name.removeprefix("bridge_"))
    if labels and name != "bridge_info":
        collector.labels(**dict.fromkeys(labels, "test_metrics"))
    samples = scraped()[name.removesuffix("_total")].samples
    assert samples
    assert {frozenset(sample.labels.keys() - {"le"}) for sample in samples} == {frozenset(labels)}


def test_the_help_of_each_metric_is_a_sentence() -> None:
    for name, family in scraped().items():
        if name.startswith("bridge_"):
            assert family.documentation.endswith("."), name


def test_what_was_counted_and_measured_is_exposed() -> None:
    metrics.hints_total.labels(storefront="test_metrics", result="ping").inc()
    metrics.request_seconds.labels(route="/test_metrics").observe(0.004)
    body, content_type = metrics.exposition()
    lines = body.decode().splitlines()
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert 'bridge_hints_total{result="ping",storefront="test_metrics"} 1.0' in lines
    assert 'bridge_request_seconds_bucket{le="0.005",route="/test_metrics"} 1.0' in lines
    assert 'bridge_request_seconds_bucket{le="0.0025",route="/test_metrics"} 0.0' in lines


def test_the_running_version_and_the_process_are_exposed() -> None:
    families = scraped()
    assert families["bridge_info"].samples[0].labels == {"version": __version__}
    assert families["process_open_fds"].samples[0].value > 0
    assert families["process_resident_memory_bytes"].samples[0].value > 0
    assert "python_gc_collections" in families
