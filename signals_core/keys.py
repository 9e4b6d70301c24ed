"""What the store knows a collector's coverage and sinks by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signals_core.collector import Collector

if TYPE_CHECKING:
    from signals_core.store import CoverageKey


def key_of(collector: Collector) -> CoverageKey:
    """Return the key of a windowed collector's coverage."""
    grain = collector.buckets
    assert grain is not None
    return collector.id, grain.text, grain.timezone if grain.is_calendar else ""


def sink_name(collector: Collector, key: str) -> str:
    """Return the name under which the store knows a collector's sink."""
    return key if key in collector.shared_sinks else f"{collector.id}/{key}"


def sink_named(collector: Collector, name: str) -> str:
    """Return a sink's name in the store by that name or its own key. Raises `LookupError`."""
    names = [sink_name(collector, key) for key in collector.sinks]
    found = sink_name(collector, name) if name in collector.sinks else name
    if found not in names:
        raise LookupError(f"{collector.name} has no sink {name!r}; it has: {', '.join(names)}")
    return found
