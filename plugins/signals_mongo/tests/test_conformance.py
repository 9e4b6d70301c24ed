"""The source keeps the promises of the plugin API, on a real server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import MongoClient

from parts.mongo import free_port, running_mongod
from signals_core import Secret
from signals_core.testing import PROMISES, SourceSuite
from signals_mongo.source import MongoDB

SOON = timedelta(seconds=3)
SLEEP = {"$function": {"body": "function() { sleep(600000) }", "args": [], "lang": "js"}}


class TestMongoDB(SourceSuite):
    """The source `mongodb`."""

    type = "mongodb"
    query = MongoDB.Query(
        "items",
        [
            {"$match": {"at": {"$gte": ":window_start", "$lt": ":window_end"}}},
            {"$group": {"_id": {"kind": "$kind"}, "value": {"$sum": 1}}},
        ],
    )
    endless = MongoDB.Query(
        "items",
        [
            {"$project": {"_id": 0, "value": {"$range": [0, 100_000]}}},
            {"$unwind": "$value"},
        ],
    )
    slow = MongoDB.Query("items", [{"$limit": 1}, {"$set": {"value": SLEEP}}])
    wrong = MongoDB.Query("items", [{"$out": "elsewhere"}])
    failing = MongoDB.Query("items", [{"$no_such_stage": {}}])
    left_out = {
        "snapshot": "the server does not freeze the collection; the class says so",
        "recovers": "tested on a server of its own",
    }

    @pytest.fixture
    def source(self, mongo_server: str, mongo_client: MongoClient, mongo_database: str) -> MongoDB:
        """A source on items of the suite's window."""
        fill(mongo_client[mongo_database].items)
        return made(mongo_server, mongo_database)

    @pytest.fixture
    def unreachable(self) -> MongoDB:
        """A source on a port where nobody listens."""
        return made("mongodb://reader:never-shown@127.0.0.1:1/", "shop")


class TestMongoDBThatFails(TestMongoDB):
    """The source `mongodb` on a server that is stopped and started."""

    left_out = {
        promise.name: "tested on a server that stays"
        for promise in PROMISES["source"]
        if promise.name != "recovers"
    }

    @pytest.fixture
    def mongod(self) -> Any:
        """A server of its own, and what stops and starts it."""
        port = free_port()
        with ExitStack() as running:
            running.enter_context(running_mongod(port=port))

            @contextmanager
            def down():
                running.close()
                yield
                running.enter_context(running_mongod(port=port))
                fill_at(port)

            fill_at(port)
            yield port, down

    @pytest.fixture
    def source(self, mongod: Any) -> MongoDB:
        """A source on it."""
        return made(f"mongodb://127.0.0.1:{mongod[0]}/?directConnection=true", "kit")

    @pytest.fixture
    def down(self, mongod: Any) -> Callable[[], Any]:
        """Stop the server for a while."""
        return mongod[1]


def made(uri: str, database: str) -> MongoDB:
    return MongoDB(Secret(uri), database, allow_javascript=True, connect_timeout=SOON)


def fill_at(port: int) -> None:
    with MongoClient(f"mongodb://127.0.0.1:{port}/?directConnection=true") as client:
        fill(client.kit.items)


def fill(items: Any) -> None:
    at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    items.insert_many({"kind": f"kind {number % 5}", "at": at} for number in range(1000))
