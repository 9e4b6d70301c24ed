"""One collector as a page shows it: what is missing and why, its values, windows and runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from attrs import frozen

from signals_core import collect
from signals_core.collector import Collector, MetricDefinition
from signals_core.facts import CollectorFacts, Configured, Facts
from signals_core.findings import Finding, of_collectors
from signals_core.keys import sink_name
from signals_core.phrases import moment
from signals_core.retries import Failure
from signals_core.store import Run, Store
from signals_core.web import overview, words
from signals_core.web.plot import Plot, plot
from signals_core.web.series import Key, Point, Series, largest, series_of, values_of
from signals_core.web.strip import Strip
from signals_core.window import Window

_WINDOWS = 60
_RUNS = 50
_SERIES = 5  # of each metric
_LARGEST_READING = 1 << 20
_LISTED = 20


@frozen
class Gap:
    """A window that is due and was not read; where it failed, why, and when it is tried again."""

    name: str
    window: Window
    failure: Failure | None
    again: str


@frozen
class Valued:
    """A series in a table: its last value, the bucket of that, and its uuid."""

    label: str
    value: str
    bucket: str
    uuid: str


@frozen
class Chart:
    """One metric: its plot, the last values of the series in it, and how many more there are."""

    definition: MetricDefinition
    plot: Plot | None
    series: Sequence[Valued]
    more: int


@frozen
class RunRow:
    """One run in the table, with its bucket as the collector's zone calls it."""

    run: Run
    bucket: str


@frozen(kw_only=True)
class CollectorPage:
    """All of it; without `collector` it is not configured, or has a mistake."""

    at: datetime
    name: str
    finding: Finding
    runs: Sequence[RunRow]
    problems: Sequence[str] = ()
    collector: Collector | None = None
    about: Mapping[str, str] = {}
    query: str = ""
    gaps: Sequence[Gap] = ()
    more_gaps: int = 0
    strip: Strip | None = None
    charts: Sequence[Chart] = ()
    too_large: bool = False


def looked_at(
    store: Store, facts: Facts, configured: Configured, name: str
) -> CollectorPage | None:
    """Look at one collector, of now or of the past; None when nobody knows the name.

    Raises `StoreError`.
    """
    member = next((m for m in facts.collectors.values() if m.collector.name == name), None)
    known = [member.collector] if member else []
    # The runs of all others are there too, and look like those of collectors that are gone.
    found = of_collectors(
        store,
        known,
        configured.left_out,
        facts.at,
        is_running=True,
        watermarks=overview.watermarks_of([member] if member else ()),
    )
    finding = next((each for each in found if each.collector == name), None)
    if finding is None:
        return None
    if member is None:
        is_left_out = finding.state == "left out"
        return CollectorPage(
            at=facts.at,
            name=name,
            finding=finding,
            runs=[_run_row(run, None) for run in _past_runs(store, name)],
            problems=configured.problems if is_left_out else (),
        )
    return _of_member(store, member, finding, facts.at)


def _of_member(
    store: Store, member: CollectorFacts, finding: Finding, now: datetime
) -> CollectorPage:
    collector = member.collector
    id_ = collector.id
    windows = overview.windows_of(collector, now, _WINDOWS)
    runs = store.runs(id_, max(_RUNS, _WINDOWS))
    of_runs = () if windows and collector.window else runs[:_WINDOWS][::-1]
    seen = store.retained_since({id_: windows[0].start})[id_] if windows else ()
    coverages = {} if collector.window is None else store.coverages()
    readings = overview.readings_of(windows, seen, of_runs)
    times = windows or [Window(run.started, run.started) for run in of_runs]
    charts, too_large = _charts(store, collector, readings, times)
    return CollectorPage(
        at=now,
        name=collector.name,
        finding=finding,
        collector=collector,
        about=dict(_about(member, finding, now)),
        query=collect.described(collector.query, None),
        gaps=list(_gaps(collector, finding, now))[:_LISTED],
        more_gaps=max(len(finding.missing) - _LISTED, 0),
        strip=overview.strip_of(collector, windows, coverages, seen, of_runs),
        charts=charts,
        too_large=too_large,
        runs=[_run_row(run, collector) for run in runs[:_RUNS]],
    )


def _about(member: CollectorFacts, finding: Finding, now: datetime) -> Iterator[tuple[str, str]]:
    collector = member.collector
    if collector.owner:
        yield "owner", collector.owner
    if collector.id != collector.name:
        yield "id", collector.id
    if collector.grain:
        yield "grain", f"{collector.grain}, {collector.timezone}"
    yield "next run", overview.next_run_of(member, now)
    if finding.last_run:
        yield "last run", f"{words.ago(finding.last_run, now)}: {finding.outcome}"
    if finding.read_until:
        yield "read until", moment(finding.read_until)
    if member.watermark:
        yield "its source shows", f"all up to {moment(member.watermark.shown)}"
    yield "source", type(collector.source).__name__
    yield "sinks", ", ".join(sink_name(collector, key) for key in collector.sinks)


def _gaps(collector: Collector, finding: Finding, now: datetime) -> Iterator[Gap]:
    failures = {each.window.start: each for each in finding.failures}
    missing = {each.start: each for each in finding.missing}
    # What failed as it was read again is not missing, and yet is to be told.
    windows = missing | {start: each.window for start, each in failures.items()}
    for start in sorted(windows):
        window, failure = windows[start], failures.get(start)
        again = words.ago(failure.retry_at, now) if failure else ""
        name = words.bucket(window, collector.buckets, collector.timezone)
        yield Gap(name, window, failure, again)


def _charts(
    store: Store,
    collector: Collector,
    readings: Sequence[int | None],
    times: Sequence[Window],
) -> tuple[list[Chart], bool]:
    """Return a chart of each metric; whether the last reading is too large for any."""
    numbers = [each for each in readings if each is not None]
    if not numbers:
        return [], False
    began = readings.index(numbers[0])
    readings, times = readings[began:], times[began:]
    lines = store.lines_of(numbers, _LARGEST_READING)
    if numbers[-1] not in lines:
        return [], True
    values = {number: values_of(text) for number, text in lines.items()}
    latest = values[numbers[-1]]
    charts = []
    for definition in collector.definitions:
        own = {key: point for key, point in latest.items() if _is_of(key, definition)}
        keys = largest(own, _SERIES, _SERIES)
        series = [series_of(key, [values.get(each or 0, {}).get(key) for each in readings])
                  for key in keys]  # fmt: skip
        more = sum(point.text is not None for point in own.values()) - len(keys)
        charts.append(_chart(collector, definition, series, times, more))
    return charts, False


def _is_of(key: Key, definition: MetricDefinition) -> bool:
    series = series_of(key, ())
    return series.name == definition.name and definition.tags.items() <= series.tags.items()


def _chart(
    collector: Collector,
    definition: MetricDefinition,
    series: Sequence[Series],
    times: Sequence[Window],
    more: int,
) -> Chart:
    grain, zone = collector.buckets, collector.timezone
    labels = [each.label(collector, alone=True) for each in series]
    drawn = plot(
        [(label, each.numbers) for label, each in zip(labels, series, strict=True)],
        [words.tick(window, grain, zone) for window in times],
    )
    rows = [
        _valued(label, each, [words.bucket(window, grain, zone) for window in times])
        for label, each in zip(labels, series, strict=True)
    ]
    return Chart(definition, drawn, rows, max(more, 0))


def _valued(label: str, series: Series, buckets: Sequence[str]) -> Valued:
    last: tuple[Point, str] | None = None
    for point, bucket in zip(series.points, buckets, strict=True):
        if point and point.text:
            last = point, bucket
    assert last is not None
    return Valued(label, last[0].text or "", last[1], last[0].uuid)


def _past_runs(store: Store, name: str) -> list[Run]:
    runs = store.last_runs().values()
    id_ = next((run.collector for run in runs if name in (run.name, run.collector)), None)
    return store.runs(id_, _RUNS) if id_ else []


def _run_row(run: Run, collector: Collector | None) -> RunRow:
    if run.window is None:
        return RunRow(run, "")
    if collector is None:
        return RunRow(run, str(run.window))
    return RunRow(run, words.bucket(run.window, collector.buckets, collector.timezone))
