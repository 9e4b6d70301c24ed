"""A wrong clock beside a right one: the daemon on real servers, whose time decides."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from attrs import define, field
from pymongo import MongoClient

from parts.postgres import wait_until
from signals_core import (
    Collector,
    Metric,
    MetricDefinition,
    Runner,
    Secret,
    Sink,
    Source,
    WindowPolicy,
)
from signals_core.clock import SystemClock
from signals_core.keys import key_of
from signals_core.store import Run, Store
from signals_mongo.source import MongoDB
from signals_postgres.source import Postgres

SECOND = timedelta(seconds=1)
YEAR = timedelta(days=365)

_EACH_SECOND = """
CREATE TABLE event AS
SELECT now() + n * interval '1 second' AS at FROM generate_series(-30, 300) AS n, (VALUES (1), (2))
"""
_COUNT = """
SELECT count(*) AS value FROM event WHERE at >= :window_start AND at < :window_end
"""


class WrongClock(SystemClock):
    """The clock of a machine that is ahead of the servers, until it is set."""

    def __init__(self, ahead: timedelta) -> None:
        self.ahead = ahead

    def now(self) -> datetime:
        return super().now() + self.ahead


@define(eq=False)
class Kept(Sink):
    """Keeps what it is given."""

    metrics: list[Metric] = field(init=False, factory=list)

    def write(self, batch):
        self.metrics += batch

    def starts(self, collector: str) -> list[datetime]:
        """The windows that came, in order."""
        return [each.grain_datetime for each in self.metrics if each.collector == collector]


def collector_of(name: str, source: Source, query: Any, sink: Sink) -> Collector:
    """Return a collector of each second, that begins three seconds ago."""
    start = datetime.now(UTC).replace(microsecond=0) - 3 * SECOND
    return Collector(
        name=name,
        metric=MetricDefinition(name, "COUNT"),
        grain="1s",
        window=WindowPolicy(start=start, grace=timedelta(0)),
        source=source,
        query=query,
        sinks={"kept": sink},
        shared_sinks=["kept"],
    )


@pytest.fixture(params=["postgres", "mongodb"])
def source(request: pytest.FixtureRequest) -> tuple[Source, Any]:
    """Return a source of two events a second, before and after now, and its query."""
    if request.param == "postgres":
        return postgres(request.getfixturevalue("database"))
    client: MongoClient = request.getfixturevalue("mongo_client")
    name = request.getfixturevalue("mongo_database")
    now = datetime.now(UTC)
    events = [{"at": now + n * SECOND} for n in range(-30, 300) for _ in range(2)]
    client[name].event.insert_many(events)
    match = {"$match": {"at": {"$gte": ":window_start", "$lt": ":window_end"}}}
    agg = [match, {"$count": "value"}]
    uri = Secret(request.getfixturevalue("mongo_server"))
    return MongoDB(uri, name), MongoDB.Query("event", agg)


def postgres(uri: str) -> tuple[Source, Any]:
    """Fill a database, and return its source and query."""
    with psycopg.connect(uri) as connection:
        connection.execute(_EACH_SECOND)
    return Postgres(Secret(uri)), Postgres.Query(_COUNT)


@contextmanager
def running(clock: WrongClock, folder: Path, *collectors: Collector) -> Iterator[None]:
    """Run collectors by a clock."""
    with Runner(collectors, state_dir=folder, clock=clock) as runner:
        runner.start()
        yield


def readings(folder: Path, collector: Collector) -> list[Run]:
    """Return the runs that read something, oldest first."""
    with Store.look(folder) as store:
        return store.runs(collector.id, 10_000)[::-1]


def test_a_clock_a_year_ahead(
    source: tuple[Source, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A clock a year ahead records nothing as read that the server has not seen, and warns once."""
    kept = Kept()
    one, two = (collector_of(name, *source, kept) for name in ("one", "two"))
    with running(WrongClock(YEAR), tmp_path, one, two):
        wait_until(lambda: min(len(kept.starts(each.name)) for each in (one, two)) >= 7, 30)
    now = datetime.now(UTC)
    for each in (one, two):
        starts = kept.starts(each.name)
        assert starts == [each.window.start + number * SECOND for number in range(len(starts))]
        with Store.look(tmp_path) as store:
            coverage = store.coverage(key_of(each))
        assert coverage.covered.spans[0][0] == each.window.start
        assert len(coverage.covered.spans) == 1 and coverage.covered.spans[0][1] <= now
        assert not coverage.skipped and not coverage.failures
    assert all(each.value == 2 and each.window_end <= now for each in kept.metrics)
    assert [each.levelno for each in caplog.records if each.levelno >= logging.WARNING] == [
        logging.WARNING
    ]
    assert "it is behind, or the clock here is ahead" in caplog.text


@pytest.mark.parametrize(
    "aheads", [[YEAR, timedelta(0)], [timedelta(0), -timedelta(hours=1), timedelta(0)]], ids=str
)
def test_a_clock_set_back(
    database: str, aheads: list[timedelta], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After a clock was set back nothing is read twice, and nothing is left out."""
    kept = Kept()
    collector = collector_of("one", *postgres(database), kept)
    clock = WrongClock(aheads[0])

    def steps() -> int:
        return sum("the wall clock stepped" in line for line in caplog.messages)

    with running(clock, tmp_path, collector):
        for number, ahead in enumerate(aheads):
            clock.ahead = ahead
            wait_until(lambda number=number: steps() == number, 10)  # type: ignore[misc]
            if ahead >= timedelta(0):
                count = len(kept.metrics)
                wait_until(lambda count=count: len(kept.metrics) >= count + 3, 30)  # type: ignore[misc]
    windows = Counter(run.window.start for run in readings(tmp_path, collector))
    assert set(windows.values()) == {1}
    starts = kept.starts("one")
    assert starts == [collector.window.start + number * SECOND for number in range(len(starts))]
    versions = [each.timestamp for each in kept.metrics]
    assert versions == sorted(set(versions))
