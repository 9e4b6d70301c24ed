"""Fifty numbers of one table: fifty collectors, or one whose query makes them all."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from benchmarks.measure import Figure, in_turn
from benchmarks.postgres import Keep
from signals_core import Collector, MetricDefinition, Runner, Secret
from signals_postgres.source import Postgres

if TYPE_CHECKING:
    from parts.postgres import PostgresServer

COUNT = 50


def merged(server: PostgresServer) -> Figure:
    """One collector of fifty metrics, against fifty collectors of one."""
    source, sink = Postgres(Secret(server.uri)), Keep()
    columns = [f"sum(total) FILTER (WHERE id % {COUNT} = {each})" for each in range(COUNT)]
    many = [
        Collector(
            name=f"bench.{number}",
            metric=MetricDefinition(f"bench.{number}", "SUM"),
            source=source,
            query=Postgres.Query(f"SELECT {column} AS value FROM orders"),  # noqa: S608 - our own text
            sinks={"keep": sink},
            timeout=timedelta(minutes=5),
        )
        for number, column in enumerate(columns)
    ]
    listed = ", ".join(f"{column} AS m{number}" for number, column in enumerate(columns))
    one = Collector(
        name="bench.all",
        metrics=[
            MetricDefinition(f"bench.{number}", "SUM", value=f"m{number}")
            for number in range(COUNT)
        ],
        source=source,
        query=Postgres.Query(f"SELECT {listed} FROM orders"),  # noqa: S608 - our own text
        sinks={"keep": sink},
        timeout=timedelta(minutes=5),
    )
    with Runner([*many, one]) as runner:
        pairs = in_turn(
            lambda: runner.invoke("bench.all"),
            lambda: [runner.invoke(each.name) for each in many],
            runs=5,
        )
    return Figure(
        "50 metrics of a 1M-row table, one `metrics:`",
        "50 collectors",
        "none: as measured",
        "s",
        pairs,
        "What merging queries saves the database, where they read the same rows.",
    )
