"""The overview: what is to be seen of all collectors and sinks at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from attrs import frozen

from signals_core.collector import Collector
from signals_core.coverage import Coverage
from signals_core.facts import CollectorFacts, Configured, Facts
from signals_core.findings import (
    Finding,
    of_collectors,
    of_configuration,
    of_problem,
    of_sink,
)
from signals_core.keys import key_of
from signals_core.phrases import late
from signals_core.store import CoverageKey, OutboxLine, Retained, Run, Store
from signals_core.web import strip, words
from signals_core.web.plot import sparkline
from signals_core.web.series import Series, Trails
from signals_core.window import Window

WINDOWS = 30
_VALUES = 14
_LARGEST_READING = 64 << 10
SPARK_WIDTH, SPARK_HEIGHT = 84, 20
_INTENDED = ("ok", "paused")


@frozen
class Spark:
    """The last values of one series, drawn small; `latest` is the last of them."""

    label: str
    latest: str
    path: str


@frozen
class Row:
    """One collector in the table."""

    finding: Finding
    collector: Collector | None
    late: str
    strip: strip.Strip | None
    sparks: Sequence[Spark]
    more: int
    next_run: str
    last_run: str


@frozen
class SinkRow:
    """One sink in the table."""

    line: OutboxLine
    state: str
    oldest: str
    size: str
    since: str


@frozen
class Trouble:
    """Something that is not as it should be, what to do about it, and whose it is."""

    state: str
    text: str
    collector: str | None = None


@frozen
class Overview:
    """All of it, as it was at one moment."""

    at: datetime
    troubles: Sequence[Trouble]
    notes: Sequence[Trouble]
    collectors: Sequence[Row]
    sinks: Sequence[SinkRow]

    @property
    def well(self) -> int:
        """How many collectors are as they should be."""
        return sum(row.finding.state == "ok" for row in self.collectors)

    @property
    def has_run(self) -> bool:
        """Whether any collector has run."""
        return any(row.finding.last_run for row in self.collectors)


def looked_at(
    store: Store, facts: Facts, configured: Configured, trails: Trails[Spark]
) -> Overview:
    """Look at everything. Raises `StoreError`."""
    now, members = facts.at, facts.collectors
    collectors = [each.collector for each in members.values()]
    findings = list(
        of_collectors(
            store,
            collectors,
            configured.left_out,
            now,
            is_running=True,
            watermarks=watermarks_of(members.values()),
        )
    )
    rows = list(_rows(store, facts, findings, trails))
    sinks = [(line, *of_sink(line)) for line in store.outbox()]
    taken = store.taken_up()
    said = [Trouble("not stored", facts.store_trouble)] if facts.store_trouble else []
    said += [Trouble("not taken up", text) for text in (of_configuration(taken) if taken else ())]
    said += [Trouble("left out", of_problem(each)) for each in configured.problems]
    said += [Trouble(f.state, text, f.collector) for f in findings for text in f.remarks]
    said += [Trouble(state, text) for _, state, remarks in sinks for text in remarks]
    return Overview(
        now,
        [each for each in said if each.state not in _INTENDED],
        [each for each in said if each.state in _INTENDED],
        sorted(rows, key=lambda row: row.finding.state == "ok"),
        [_sink_row(line, state, now) for line, state, _ in sinks],
    )


def watermarks_of(members: Iterable[CollectorFacts]) -> dict[str, datetime]:
    """Return up to when sources showed all their data when asked last, by the ids of collectors."""
    return {each.collector.id: each.watermark.shown for each in members if each.watermark}


def _rows(
    store: Store, facts: Facts, findings: Iterable[Finding], trails: Trails[Spark]
) -> Iterator[Row]:
    now = facts.at
    by_name = {each.collector.name: each for each in facts.collectors.values()}
    spans = {id_: _windows_of(each, now) for id_, each in facts.collectors.items()}
    seen = store.retained_since({id_: each[0].start for id_, each in spans.items() if each})
    coverages = store.coverages()
    runs = store.latest_runs([id_ for id_, each in facts.collectors.items()
                              if each.collector.window is None], WINDOWS)  # fmt: skip
    for finding in findings:
        member = by_name.get(finding.collector)
        if member is None:
            yield Row(finding, None, "", None, (), 0, "", _when(finding.last_run, now))
            continue
        id_ = member.collector.id
        buckets = seen.get(id_, [])
        history = runs.get(id_, [])
        sparks, more = _sparks(store, member.collector, spans[id_], buckets, history, trails)
        yield Row(
            finding,
            member.collector,
            late(finding.late) if finding.late else "",
            strip_of(member.collector, spans[id_], coverages, buckets, history),
            sparks,
            more,
            next_run_of(member, now),
            _when(finding.last_run, now),
        )


def strip_of(
    collector: Collector,
    windows: Sequence[Window],
    coverages: Mapping[CoverageKey, Coverage],
    buckets: Sequence[Retained],
    runs: Sequence[Run],
) -> strip.Strip | None:
    """Return the strip of a collector; None before there is anything to show."""
    if collector.window is None:
        return strip.of_runs(runs) if runs else None
    coverage = coverages.get(key_of(collector))
    if coverage is None:
        return None
    readings = {each.start: each.readings for each in buckets}
    found = strip.of_windows(windows, coverage, readings)
    return found if found.marks else None


def windows_of(collector: Collector, now: datetime, count: int) -> Sequence[Window]:
    """Return the last windows of a collector with a grain, oldest first.

    A windowed one's are over, a snapshot's last one is under way. None without a grain.
    """
    grain = collector.buckets
    if grain is None:
        return ()
    if collector.window is not None:
        return strip.last_windows(grain, now - collector.window.grace, count)
    return (*strip.last_windows(grain, now, count - 1), grain.window(now))


def readings_of(
    windows: Sequence[Window], buckets: Sequence[Retained], runs: Sequence[Run]
) -> list[int | None]:
    """Return the latest reading of each window, or without windows of each run, as numbers."""
    if not windows:
        return [run.id if run.outcome == "read" else None for run in runs]
    latest = {each.start: each.reading for each in buckets}
    return [latest.get(each.start) for each in windows]


def next_run_of(member: CollectorFacts, now: datetime) -> str:
    """Say when a collector runs next."""
    if member.running_since is not None:
        return f"runs since {words.roughly(now - member.running_since)}"
    if member.next_run is None:
        return "when something changes"
    return "now" if member.next_run <= now else words.ago(member.next_run, now)


def _windows_of(member: CollectorFacts, now: datetime) -> Sequence[Window]:
    return windows_of(member.collector, now, WINDOWS)


def _sparks(
    store: Store,
    collector: Collector,
    windows: Sequence[Window],
    buckets: Sequence[Retained],
    runs: Sequence[Run],
    trails: Trails[Spark],
) -> tuple[Sequence[Spark], int]:
    readings = readings_of(windows, buckets, runs)[-_VALUES:]
    found = trails.follow(
        collector, readings, lambda ids: store.lines_of(ids, _LARGEST_READING), _spark
    )
    return found.drawn, max(found.total - len(found.drawn), 0)


def _spark(series: Series, collector: Collector) -> Spark:
    point = series.latest
    return Spark(
        series.label(collector),
        words.value(point.text) if point and point.text else "",
        sparkline(series.numbers, SPARK_WIDTH, SPARK_HEIGHT),
    )


def _sink_row(line: OutboxLine, state: str, now: datetime) -> SinkRow:
    since = line.suspended_since or line.failing_since
    return SinkRow(
        line,
        state,
        words.roughly(now - line.oldest) if line.oldest else "",
        words.size(line.bytes) if line.bytes else "",
        words.roughly(now - since) if since else "",
    )


def _when(moment: datetime | None, now: datetime) -> str:
    return words.ago(moment, now) if moment else ""
