"""The collector and its parts, as attrs classes: built from YAML or in code, the same."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, get_args

from attrs import define, evolve, field, frozen

from signals_core.errors import ConfigError, Problem, reason_of
from signals_core.fields import sameness_of
from signals_core.metric import Metrics, MetricType
from signals_core.plugin import Schedule, Sink, Source
from signals_core.window import PARAMETERS, Grain, Window, zone_named

_parsed = lru_cache(maxsize=1024)(Grain.parse)  # it is asked for at every turn

_STARTS = {"window_start", "window_start_local"}
_ENDS = {"window_end", "window_end_local"}


@frozen
class MetricDefinition:
    """One metric that a collector makes of each row."""

    name: str
    """Its name on the wire."""

    type: MetricType
    """COUNT and SUM are totals of their window and add up; a GAUGE does not."""

    value: str = "value"
    """The column that holds the number."""

    tags: dict[str, str] = field(factory=dict)
    """Tags of this metric, beside those of the collector and of the row."""

    unit: str | None = None
    """What the number counts, as EUR."""

    description: str | None = None
    """What the number means."""


@frozen
class WindowPolicy:
    """Which windows a windowed collector reads, and when."""

    start: datetime | None = None
    """Where history begins; none: with the latest window due at first sight."""

    grace: timedelta = timedelta(minutes=1)
    """How long after a window's end to wait for late rows."""

    catch_up: int | None = None
    """How many missed windows are made up; none: all."""

    revise: list[timedelta] = field(factory=list)
    """After which delays a window is read again."""


@define(kw_only=True, eq=False)
class Collector:
    """A query, the metrics made of it, a schedule and sinks: one YAML document.

    Exactly one of `metric` and `metrics` is given.
    """

    name: str
    """What it is called: unique, as is the id; without slashes."""

    source: Source
    """Where its rows come from."""

    shared_source: str | None = None
    """The name of its source, where that is one that collectors share."""

    query: Any = None
    """An instance of the source's `Query` class, None for a source without one."""

    metric: MetricDefinition | None = None
    """The metric made of each row."""

    metrics: Sequence[MetricDefinition] = ()
    """Several metrics made of each row, each of a column of its own."""

    sinks: Mapping[str, Sink] = field(factory=dict)
    """Where its metrics go: sinks by name. Equal ones share a connection."""

    shared_sinks: Collection[str] = ()
    """The names of those that are one sink for all collectors; the others are this one's own."""

    id: str = field()
    """Its identity on the wire and in the store, which stays when the name changes."""

    grain: str | None = None
    """The length of its buckets: 30s, 1h, or a calendar unit as 1d, 1w, 1mo, 1q, 1y."""

    timezone: str = "UTC"
    """The zone of calendar grains, of dates and of cron, as Europe/Paris."""

    tags: Mapping[str, str] = field(factory=dict)
    """Tags of all its metrics."""

    window: WindowPolicy | None = None
    """Reads each completed window of the grain; without it, the present state."""

    schedule: Schedule | None = None
    """When it runs; a windowed collector without one reads each window as it falls due."""

    timeout: timedelta = timedelta(seconds=60)
    """How long one read may take."""

    max_rows: int = 100_000
    """The most rows that one read may return."""

    owner: str | None = None
    """Who answers for it."""

    description: str | None = None
    """What it is for."""

    @id.default
    def _same_as_name(self) -> str:
        return self.name

    @property
    def definitions(self) -> Sequence[MetricDefinition]:
        """The metric definitions, whichever form they were given in."""
        return self.metrics if self.metric is None else (self.metric,)

    @property
    def buckets(self) -> Grain | None:
        """The grain in its zone, parsed; None without a grain."""
        return None if self.grain is None else _grain(self.grain, self.timezone)


@frozen
class Reading:
    """What one successful run saw: the rows of one snapshot, distilled to metrics."""

    collector: str
    """The id of the collector."""

    timestamp: datetime
    """The version of all its metrics: when the reading began, aware, in UTC."""

    window: Window | None
    """The bucket that they belong to; None without a grain."""

    metrics: Metrics
    """A sequence of `Metric`."""

    rows: int
    """How many rows were read."""

    nulls: int = 0
    """How many values were NULL, which make no metrics."""

    warnings: Sequence[str] = ()
    """What people are told of it, as that there were no rows."""


@lru_cache(maxsize=1024)
def _grain(text: str, timezone: str) -> Grain:
    return Grain.parse(text, timezone)  # which is asked for several times a reading


def problems_of(collector: Collector) -> Iterator[Problem]:
    """Yield the mistakes in a collector that its types cannot express; needs no connection."""
    for key in ("name", "id"):
        yield from _name_problems(key, getattr(collector, key))
    yield from _metric_problems(collector)
    yield from _time_problems(collector)
    yield from _sink_problems(collector)
    for key in ("timeout", "max_rows"):
        if not getattr(collector, key):
            yield Problem("must be more than zero", path=key)
        elif getattr(collector, key) < type(getattr(collector, key))():
            yield Problem("must not be negative", path=key)
    yield from _query_problems(collector)


def refuse_mistakes(collectors: Sequence[Collector]) -> None:
    """Raise `ConfigError` for collectors that cannot be right, each or together."""
    problems = []
    names: set[str] = set()
    ids: set[str] = set()
    for collector in collectors:
        where = f"collector {collector.name!r}"
        problems += [evolve(problem, file=where) for problem in problems_of(collector)]
        if collector.name in names:
            problems.append(Problem("there is one of that name already", path="name", file=where))
        elif collector.id in ids:
            problem = f"{collector.id!r} is the id of another collector"
            problems.append(Problem(problem, path="id", file=where))
        names.add(collector.name)
        ids.add(collector.id)
    if problems:
        raise ConfigError(problems)


def refuse_unscheduled(collectors: Sequence[Collector]) -> None:
    """Raise `ConfigError` for snapshot collectors that nobody knows when to run."""
    problems = [
        Problem("a snapshot collector needs a schedule", path="schedule", file=each.name)
        for each in collectors
        if each.window is None and each.schedule is None
    ]
    if problems:
        raise ConfigError(problems)


def _name_problems(key: str, name: str) -> Iterator[Problem]:
    if not name:
        yield Problem("must not be empty", path=key)
    elif "/" in name:
        yield Problem(f"{name!r} holds a slash", "use dots to separate words", path=key)
    yield from _nul_problems(key, name)


def _nul_problems(path: str, *texts: str) -> Iterator[Problem]:
    """Refuse what many receivers refuse: Postgres has no text with U+0000 in it."""
    if any("\0" in text for text in texts):
        yield Problem("holds the character U+0000", "take it out", path=path)


def _tag_problems(path: str, tags: Mapping[str, str]) -> Iterator[Problem]:
    for key, value in tags.items():
        yield from _nul_problems(f"{path}.{key}", key, value)


def _metric_problems(collector: Collector) -> Iterator[Problem]:
    if (collector.metric is None) == (not collector.metrics):
        yield Problem("exactly one of metric and metrics is needed", path="metric")
    yield from _tag_problems("tags", collector.tags)
    seen: dict[tuple[str, frozenset[tuple[str, str]]], int] = {}
    for index, definition in enumerate(collector.definitions):
        path = "metric" if collector.metric is not None else f"metrics[{index}]"
        if not definition.name:
            yield Problem("must not be empty", path=f"{path}.name")
        yield from _nul_problems(f"{path}.name", definition.name)
        yield from _tag_problems(f"{path}.tags", definition.tags)
        if definition.type not in get_args(MetricType):
            known = ", ".join(get_args(MetricType))
            yield Problem(f"{definition.type!r} is no type", f"known: {known}", path=f"{path}.type")
        for key in sorted(definition.tags.keys() & collector.tags.keys()):
            yield Problem(
                f"the tag {key!r} is configured for the collector already",
                "keep one of the two",
                path=f"{path}.tags.{key}",
            )
        identity = (definition.name, frozenset(definition.tags.items()))
        if identity in seen:
            yield Problem(
                f"the metric {definition.name!r} is there already with the same tags",
                "give one of the two another name or a tag of its own",
                path=path,
            )
        seen[identity] = index


def _time_problems(collector: Collector) -> Iterator[Problem]:
    try:
        zone_named(collector.timezone)
    except ValueError as error:
        yield Problem(str(error), path="timezone")
    try:
        if collector.grain is not None:
            Grain.parse(collector.grain)
    except ValueError as error:
        yield Problem(str(error), path="grain")
    policy = collector.window
    if policy is None:
        return
    if collector.grain is None:
        yield Problem(
            "a windowed collector needs a grain", "add one, as in grain: 1d", path="window"
        )
    if policy.catch_up is not None and policy.catch_up < 1:
        yield Problem("must be all or a number from 1", path="window.catch_up")
    if policy.grace < timedelta():
        yield Problem("must not be negative", path="window.grace")
    for index, level in enumerate(policy.revise):
        if level <= timedelta():
            yield Problem("must be more than zero", path=f"window.revise[{index}]")


def _sink_problems(collector: Collector) -> Iterator[Problem]:
    seen: dict[Hashable, str] = {}
    for name, sink in collector.sinks.items():
        other = seen.setdefault(sameness_of(sink), name)
        if other != name:
            yield Problem(
                f"is the same sink as {other!r}, which would get every metric twice",
                "take one of the two out",
                path=f"sinks.{name}",
            )


def _query_problems(collector: Collector) -> Iterator[Problem]:
    try:
        names = set(collector.source.parameters(collector.query))
    except Exception as error:  # noqa: BLE001 - the user's mistake or the plugin's, told alike
        yield Problem(reason_of(error), path="source.config")
        return
    if unknown := sorted(names - set(PARAMETERS), key=str):
        yield Problem(
            f"the query uses :{unknown[0]}, which signals does not know",
            "known: " + ", ".join(f":{name}" for name in PARAMETERS),
            path="source.config",
        )
    elif collector.window is None and names:
        yield Problem(
            f"the query uses :{min(names)} but the collector has no window",
            "add window: {} and a grain, or take the bounds out of the query",
            path="source.config",
        )
    elif collector.window is not None and not (names & _STARTS and names & _ENDS):
        missing = "window_end" if names & _STARTS else "window_start"
        yield Problem(
            f"the query of a windowed collector must use its window: :{missing} is missing",
            "as in WHERE t >= :window_start AND t < :window_end",
            path="source.config",
        )
