"""A million documents of MongoDB to 200 metrics, against pymongo and against a copy by dlt."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.copying import QUIET, copy_and_count
from benchmarks.measure import Figure, Goal, in_a_process, in_turn
from benchmarks.postgres import Keep

DATABASE, COLLECTION = "bench", "orders"
AGG: list[dict[str, Any]] = [
    {
        "$group": {
            "_id": {"country": "$country", "plan": "$plan"},
            "value": {"$sum": 1},
        }
    }
]
_BATCH = 50_000


@contextmanager
def filled_mongo() -> Iterator[str]:
    """Start a mongod and fill it; the URI."""
    from pymongo import MongoClient

    from parts.mongo import replica_set

    with replica_set() as uri:
        with MongoClient[dict[str, Any]](uri) as client:
            orders = client[DATABASE][COLLECTION]
            for first in range(0, 1_000_000, _BATCH):
                orders.insert_many(
                    {
                        "_id": number,
                        "country": f"country-{number % 40}",
                        "plan": f"plan-{number // 40 % 5}",
                        "total": number % 997,
                    }
                    for number in range(first, first + _BATCH)
                )
        yield uri


def mongo_plain(uri: str) -> Figure:
    """Against the same pipeline by pymongo."""
    from pymongo import MongoClient

    with _runner(uri) as runner, MongoClient[dict[str, Any]](uri) as client:
        orders = client[DATABASE][COLLECTION]
        pairs = in_turn(
            lambda: runner.invoke("bench.orders"), lambda: list(orders.aggregate(AGG)), runs=7
        )
    return Figure(
        "1M documents to 200 metrics",
        "pymongo, aggregate and list",
        Goal(1.10),
        "s",
        pairs,
        "What signals adds to a pipeline that you could run yourself.",
    )


def mongo_copy(uri: str) -> Figure:
    """Against dlt with documents as Arrow, which is the fastest way in that it knows."""
    pairs = [
        (
            in_a_process("benchmarks.mongo", "signals", uri),
            in_a_process("benchmarks.mongo", "dlt", uri),
        )
        for _ in range(3)
    ]
    return Figure(
        "1M documents to 200 metrics",
        "dlt to DuckDB by Arrow, GROUP BY",
        Goal(1 / 40),
        "s",
        pairs,
        "The same 200 numbers without copying the collection.",
    )


def _runner(uri: str) -> Any:
    from signals_core import Collector, MetricDefinition, Runner, Secret
    from signals_mongo.source import MongoDB

    collector = Collector(
        name="bench.orders",
        metric=MetricDefinition("bench.orders", "COUNT"),
        source=MongoDB(Secret(uri), DATABASE),
        query=MongoDB.Query(collection=COLLECTION, agg=AGG),
        sinks={"keep": Keep()},
        timeout=timedelta(minutes=5),
    )
    return Runner([collector])


def with_signals(uri: str, _: Path) -> float:
    """Aggregate at the source; the seconds."""
    runner = _runner(uri)
    begin = time.perf_counter()
    with runner:
        runner.invoke("bench.orders")
    return time.perf_counter() - begin


def with_dlt(uri: str, folder: Path) -> float:
    """Copy the collection into DuckDB and aggregate there; the seconds."""
    os.environ.update(QUIET)
    import dlt
    from pymongo import MongoClient
    from pymongoarrow.api import find_arrow_all

    @dlt.resource(name=COLLECTION)
    def documents() -> Iterator[Any]:
        with MongoClient[dict[str, Any]](uri) as client:
            orders = client[DATABASE][COLLECTION]
            for first in range(0, 1_000_000, _BATCH):
                yield find_arrow_all(orders, {"_id": {"$gte": first, "$lt": first + _BATCH}})

    return copy_and_count(lambda: documents, COLLECTION, folder)


if __name__ == "__main__":
    with TemporaryDirectory() as made:
        way, address = sys.argv[1:]
        work = {"signals": with_signals, "dlt": with_dlt}[way]
        print(json.dumps(work(address, Path(made))))
