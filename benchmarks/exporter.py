"""One row to one metric, over and over: ours with its store, query-exporter's loop without one."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import TYPE_CHECKING, Any

from attrs import define, field

from benchmarks.measure import Figure, Goal, in_a_process
from signals_core import (
    Batch,
    Collector,
    MetricDefinition,
    Runner,
    Secret,
    Sink,
    WindowPolicy,
)

if TYPE_CHECKING:
    from parts.postgres import PostgresServer

READINGS = 1000
_SQL = "SELECT count(*) AS value FROM tick WHERE at < {now}"


def loop(server: PostgresServer) -> Figure:
    """Seconds of a thousand readings of one row, each committed and delivered."""
    server.execute("CREATE TABLE IF NOT EXISTS tick (at timestamptz)")
    pairs = [
        (_milliseconds(server, "signals"), _milliseconds(server, "query-exporter"))
        for _ in range(5)
    ]
    return Figure(
        "one row to one metric, with the store",
        "query-exporter's loop, Prometheus text",
        Goal(1.0),
        "ms",
        pairs,
        "What a small reading costs in all: read, committed to the disk, delivered, acknowledged.",
    )


def _milliseconds(server: PostgresServer, way: str) -> float:
    seconds: float = in_a_process("benchmarks.exporter", way, server.uri)
    return seconds * 1000 / READINGS


@define
class Counting(Sink):
    """Takes metrics, and says when it has as many as are wanted."""

    wanted: int
    taken: int = field(init=False, default=0)
    is_full: Event = field(init=False, factory=Event, eq=False)

    def write(self, batch: Batch) -> None:
        """Count the metrics."""
        self.taken += len(batch)
        if self.taken >= self.wanted:
            self.is_full.set()


def with_signals(uri: str, folder: Path) -> float:
    """Let a runner make up a thousand windows of a second; the seconds it takes."""
    from signals_postgres.source import Postgres

    sql = _SQL.format(now=":window_end") + " AND (at >= :window_start OR true)"
    second = timedelta(seconds=1)
    end = datetime.now(UTC).replace(microsecond=0) - second
    sink = Counting(READINGS)
    collector = Collector(
        name="bench.tick",
        metric=MetricDefinition("bench.tick", "COUNT"),
        grain="1s",
        window=WindowPolicy(start=end - READINGS * second, grace=timedelta(0)),
        source=Postgres(Secret(uri)),
        query=Postgres.Query(sql),
        sinks={"count": sink},
    )
    with Runner([collector], state_dir=folder) as runner:
        begin = time.perf_counter()
        runner.start()
        assert sink.is_full.wait(120)
        return time.perf_counter() - begin


def with_query_exporter(uri: str, folder: Path) -> float:
    """Let query-exporter run its query a thousand times, and write the text each time."""
    import structlog
    from prometheus_aioexporter import MetricsRegistry
    from query_exporter.config import load_config
    from query_exporter.executor import QueryExecutor

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    configuration: dict[str, Any] = {
        "databases": {"db": {"dsn": uri.replace("postgresql:", "postgresql+psycopg:")}},
        "metrics": {"tick": {"type": "gauge", "description": "Ticks."}},
        "queries": {
            "tick": {
                "databases": ["db"],
                "metrics": ["tick"],
                "sql": "SELECT count(*) AS tick FROM tick WHERE at < now()",
            }
        },
    }
    path = folder / "config.yaml"
    path.write_text(json.dumps(configuration))
    config = load_config([path])
    registry = MetricsRegistry()
    registry.create_metrics(config.metrics.values())

    async def run() -> float:
        executor = QueryExecutor(config, registry)
        await executor.start()
        await executor.run_aperiodic_queries()
        begin = time.perf_counter()
        for _ in range(READINGS):
            await executor.run_aperiodic_queries()
            text = registry.encode_metrics("").content
        seconds = time.perf_counter() - begin
        assert b'tick{database="db"} 0.0' in text
        await executor.stop()
        return seconds

    return asyncio.run(run())


if __name__ == "__main__":
    logging.disable(logging.INFO)
    ways: dict[str, Callable[[str, Path], float]] = {
        "signals": with_signals,
        "query-exporter": with_query_exporter,
    }
    with TemporaryDirectory() as made:
        print(json.dumps(ways[sys.argv[1]](sys.argv[2], Path(made))))
