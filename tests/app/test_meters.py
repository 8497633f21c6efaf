"""What is counted without locks is exported as Prometheus expects it."""

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from app.meters import SpreadFamily, TallyFamily


def test_a_counter_is_exported_by_its_labels() -> None:
    registry = CollectorRegistry()
    family = TallyFamily("calls_total", "Calls.", ["model", "code"], registry=registry)
    family.labels("mood", "ok").inc()
    family.labels("mood", "ok").inc(2)
    family.labels("topic", "ok").inc()
    assert registry.get_sample_value("calls_total", {"model": "mood", "code": "ok"}) == 3
    assert registry.get_sample_value("calls_total", {"model": "topic", "code": "ok"}) == 1
    assert b"# TYPE calls_total counter" in generate_latest(registry)


def test_a_histogram_is_exported_as_the_librarys_own_is() -> None:
    bounds = (0.001, 0.25, 1.0, 10.0)
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    spread = SpreadFamily("seconds", "Time.", ["stage"], buckets=bounds, registry=ours).labels("infer")
    histogram = Histogram("seconds", "Time.", ["stage"], buckets=bounds, registry=theirs).labels("infer")
    for value in (0.0, 0.001, 0.0011, 0.25, 0.7, 10.0, 11.0):
        spread.observe(value)
        histogram.observe(value)
    without_creation = [line for line in generate_latest(theirs).splitlines() if b"_created" not in line]
    assert generate_latest(ours).splitlines() == without_creation


def test_labels_must_be_all_there() -> None:
    family = TallyFamily("calls_total", "Calls.", ["model", "code"], registry=CollectorRegistry())
    with pytest.raises(ValueError, match="model, code"):
        family.labels("mood")
