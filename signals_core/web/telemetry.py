"""Telemetry: what Prometheus is shown, collected when it asks.

Nothing here is counted: counts come from the daemon's tally, what waits from its store, read beside
it, and all else from its facts. So a collector that is gone has no series left.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any

from attrs import define, field
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector as Registered

from signals_core.facts import Configured, Facts
from signals_core.runner import Runner
from signals_core.secret import mask
from signals_core.store import OutboxLine, Store, StoreError
from signals_core.tally import COMMIT_SECONDS, RUN_SECONDS, WRITE_SECONDS, Histogram, Tally
from signals_core.web.app import Request, Response
from signals_core.web.condition import Condition, Conditions

_INFO_LABELS = ("collector", "id", "kind", "grain", "owner", "description")

# What is rare has a series once it has happened; a first failure must be seen to be one more.
_OUTCOMES = ("read", "unchanged", "failed", "unreachable")
_WRITES = ("accepted", "rejected", "failed")

_COLLECTOR_GAUGES = {
    "last_success_timestamp_seconds": "When the last run began that succeeded.",
    "late_seconds": "How late it is, by the runner's clock; 0 when it is not.",
    "read_until_timestamp_seconds": "The end of the last window read.",
    "watermark_timestamp_seconds": "Up to when the source showed all its data when asked last.",
    "watermark_age_seconds": "How old the watermark was when it was asked for last.",
    "missing_windows": "Windows that are due and have not been read, without those that failed.",
    "failed_windows": "Windows that failed and are tried again.",
    "skipped_windows": "Windows passed over by catch_up and not filled since.",
    "paused": "1 while it is not read because somebody paused it.",
}

Of = Callable[[OutboxLine], float]

_SINK_GAUGES: Mapping[str, tuple[str, Of]] = {
    "pending_metrics": ("Metrics that wait for it.", lambda line: line.metrics),
    "pending_bytes": ("The size of the metrics that wait for it.", lambda line: line.bytes),
    "dead_letters": ("Metrics that it refused for good.", lambda line: line.dead_letters),
    "dead_letter_bytes": ("The size of its dead letters.", lambda line: line.dead_bytes),
    "missed_readings": ("Readings that were not kept for it.", lambda line: line.dropped),
    "failing": ("1 while nothing can be brought to it.", lambda line: bool(line.failing_since)),
    "suspended": (
        "1 while it can be reached and takes nothing at all.",
        lambda line: bool(line.suspended_since),
    ),
    "orphaned": (
        "1 when it is no longer configured and something waits for it.",
        lambda line: line.orphaned,
    ),
}


@define(eq=False)
class Telemetry(Registered):
    """What a runner, which need not be started yet, and its configuration tell Prometheus."""

    runner: Runner
    state_dir: Path
    configured: Callable[[], Configured]
    _conditions: Conditions = field(factory=Conditions, init=False)
    _registry: CollectorRegistry = field(factory=CollectorRegistry, init=False)
    _lock: Lock = field(factory=Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def answer(self, request: Request) -> Response:
        """Answer a scrape in the format that is asked for, one at a time."""
        encode, content_type = _encoder(request.headers.get("accept", ""))
        with self._lock:
            return Response(encode(self._registry), content_type=content_type)

    def collect(self) -> Iterator[Metric]:
        """Yield all there is to tell at this moment."""
        yield from _of_process(self.configured())
        facts = self.runner.facts()
        if facts is None:
            return
        successes, lines = self._stored()
        conditions = self._conditions.of(facts, successes)
        yield from _of_daemon(facts)
        yield from _of_collectors(facts, conditions)
        yield from _of_runs(facts)
        if lines is not None:
            yield from _of_sinks(lines, facts.at)
        yield from _of_writes(facts.sinks, facts.tally)

    def _stored(self) -> tuple[Mapping[str, datetime], list[OutboxLine] | None]:
        """Return what the store knows; nothing when it cannot be read now."""
        try:
            with Store.look(self.state_dir) as store:
                return store.last_successes(), store.outbox()
        except StoreError:
            return {}, None


def _encoder(accept: str) -> tuple[Callable[[Registered], bytes], str]:
    """Return what writes the format that is asked for, and its content type."""
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # a version that is none
        return choose_encoder("")
    if isinstance(encode, partial) and "escaping" in encode.keywords:
        # Our names look the same in each way to escape them, and this one is twice as quick.
        encode = partial(encode, escaping="allow-utf-8")
    return encode, content_type


def _of_process(configured: Configured) -> Iterator[Metric]:
    build = GaugeMetricFamily(
        "signals_build_info", "What runs; always 1.", labels=("version", "python")
    )
    build.add_metric((version("signals-core"), platform.python_version()), 1)
    yield build
    yield _one(
        "signals_config_last_reload_timestamp_seconds",
        "When the configuration was read last.",
        configured.read_at.timestamp(),
    )
    yield _one(
        "signals_config_last_reload_successful",
        "0 when there was a mistake in the configuration that was read last.",
        not configured.problems,
    )
    left_out = GaugeMetricFamily(
        "signals_collector_left_out",
        "A collector that does not run because of a mistake; always 1.",
        labels=("collector",),
    )
    for name in configured.left_out:
        left_out.add_metric((mask(name),), 1)
    yield left_out


def _of_daemon(facts: Facts) -> Iterator[Metric]:
    yield _one(
        "signals_timer_pass_age_seconds", "Since the timer passed last.", max(facts.pass_age, 0)
    )
    yield _one("signals_outbox_limit_bytes", "The bound of each outbox.", facts.outbox_limit_bytes)
    yield _one("signals_store_size_bytes", "The store's files.", facts.store_size_bytes)
    yield _one(
        "signals_store_writable",
        "0 once a transaction failed, until one succeeds; and while a reading finds no room.",
        facts.store_trouble is None,
    )
    commits = HistogramMetricFamily(
        "signals_store_commit_duration_seconds", "How long transactions took that wrote."
    )
    commits.add_metric((), *_counted(facts.commits, _bounds(COMMIT_SECONDS)))
    yield commits


def _of_collectors(facts: Facts, conditions: Mapping[str, Condition]) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        "signals_collector_info", "What a collector is; always 1.", labels=_INFO_LABELS
    )
    masked = cache(mask)  # many have one owner
    for each in facts.collectors.values():
        collector = each.collector
        kind = "snapshot" if collector.window is None else "windowed"
        owner, about = masked(collector.owner or ""), masked(collector.description or "")
        labels = (collector.name, collector.id, kind, collector.grain or "", owner, about)
        info.add_metric(labels, 1)
    yield info
    for name, what in _COLLECTOR_GAUGES.items():
        gauge = _per("collector", name, what, GaugeMetricFamily)
        for id_, condition in conditions.items():
            value = getattr(condition, name)
            if value is not None:
                gauge.add_metric((facts.collectors[id_].collector.name,), value)
        yield gauge


def _of_runs(facts: Facts) -> Iterator[Metric]:
    runs = _per("collector", "runs", "Runs by their outcome.", CounterMetricFamily, "outcome")
    took = _per("collector", "run_duration_seconds", "How long runs took.", HistogramMetricFamily)
    rows = _per("collector", "rows", "Rows read.", CounterMetricFamily)
    metrics = _per("collector", "metrics", "Metrics made of rows.", CounterMetricFamily)
    ticks = _per(
        "collector",
        "dropped_ticks",
        "Ticks that came while a run was under way.",
        CounterMetricFamily,
    )
    bounds = _bounds(RUN_SECONDS)
    for id_, each in facts.collectors.items():
        name, tally = each.collector.name, facts.tally.runs_of(id_)
        for outcome in dict.fromkeys((*_OUTCOMES, *tally.outcomes)):
            runs.add_metric((name, outcome), tally.outcomes[outcome])
        took.add_metric((name,), *_counted(tally.seconds, bounds))
        rows.add_metric((name,), tally.rows)
        metrics.add_metric((name,), tally.metrics)
        if each.collector.window is None:
            ticks.add_metric((name,), tally.dropped_ticks)
    yield from (runs, took, rows, metrics, ticks)


def _of_sinks(lines: Sequence[OutboxLine], now: datetime) -> Iterator[Metric]:
    age = _per(
        "sink",
        "oldest_pending_age_seconds",
        "How long ago the oldest of what waits for it was read; 0 when nothing does.",
        GaugeMetricFamily,
    )
    for line in lines:
        seconds = (now - line.oldest).total_seconds() if line.oldest else 0.0
        age.add_metric((line.sink,), max(seconds, 0.0))
    yield age
    for name, (what, of) in _SINK_GAUGES.items():
        gauge = _per("sink", name, what, GaugeMetricFamily)
        for line in lines:
            gauge.add_metric((line.sink,), of(line))
        yield gauge


def _of_writes(sinks: Sequence[str], tally: Tally) -> Iterator[Metric]:
    writes = _per("sink", "writes", "Batches by their outcome.", CounterMetricFamily, "outcome")
    took = _per("sink", "write_duration_seconds", "How long writes took.", HistogramMetricFamily)
    metrics = _per("sink", "written_metrics", "Metrics that it accepted.", CounterMetricFamily)
    bounds = _bounds(WRITE_SECONDS)
    for name in dict.fromkeys(sinks):
        of = tally.writes_of(name)
        for outcome in _WRITES:
            writes.add_metric((name, outcome), of.outcomes[outcome])
        took.add_metric((name,), *_counted(of.seconds, bounds))
        metrics.add_metric((name,), of.metrics)
    yield from (writes, took, metrics)


def _per(label: str, name: str, what: str, family: Any, *labels: str) -> Any:
    return family(f"signals_{label}_{name}", what, labels=(label, *labels))


def _one(name: str, what: str, value: float) -> Metric:
    return GaugeMetricFamily(name, what, value=value)


def _bounds(bounds: Iterable[float]) -> tuple[str, ...]:
    return (*map(str, bounds), "+Inf")


def _counted(histogram: Histogram, bounds: Sequence[str]) -> tuple[list[tuple[str, float]], float]:
    return list(zip(bounds, histogram.counts, strict=True)), histogram.sum
