"""Reading from a secondary: a replica set of two members."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from pymongo import MongoClient, WriteConcern

from parts.mongo import running_mongod
from signals_core import Cancelled, Request, Secret
from signals_mongo.source import MongoDB

SLEEP = [
    {"$set": {"x": {"$function": {"body": "function() { sleep(500) }", "args": [], "lang": "js"}}}}
]


@pytest.fixture(scope="module")
def pair():
    """The ports of a primary and a secondary, which holds what the primary does."""
    options = ("--replSet", "pair", "--setParameter", "shutdownTimeoutMillisForSignaledShutdown=0")
    with running_mongod(*options) as primary, running_mongod(*options) as secondary:
        members = [
            {"_id": number, "host": f"127.0.0.1:{port}", "priority": 1 - number}
            for number, port in enumerate((primary, secondary))
        ]
        # Members wait this long for a primary before they elect one.
        quick = {"electionTimeoutMillis": 500}
        with direct(primary) as client:
            client.admin.command(
                "replSetInitiate", {"_id": "pair", "members": members, "settings": quick}
            )
        with MongoClient("127.0.0.1", primary, replicaSet="pair") as client:
            items = client.shop.get_collection("items", write_concern=WriteConcern(2))
            items.insert_many([{"n": n} for n in range(100)])
        yield primary, secondary


@pytest.fixture
def source(pair):
    """An open source that prefers the secondary."""
    uri = f"mongodb://127.0.0.1:{pair[0]}/?replicaSet=pair&readPreference=secondary"
    source = MongoDB(Secret(uri), "shop", allow_javascript=True)
    source.open()
    yield source
    source.close()


def direct(port):
    return MongoClient("127.0.0.1", port, directConnection=True, tz_aware=True)


def busy(port):
    """Whether a query of the tests runs at this member."""
    with direct(port) as client:
        at_work = [{"$currentOp": {}}, {"$match": {"cursor.originatingCommand.comment": "signals"}}]
        return bool(list(client.admin.aggregate(at_work)))


def test_a_cancel_reaches_the_member_that_reads(pair, source):
    """A query on the secondary runs there only, and is gone within a second of the cancel."""
    primary, secondary = pair
    request = Request("test", source.Query("items", SLEEP))

    def read():
        with pytest.raises(Cancelled):
            list(source.read(request))

    reader = threading.Thread(target=read)
    reader.start()
    while not busy(secondary):
        time.sleep(0.01)
    assert not busy(primary)
    began = time.monotonic()
    request.cancel()
    reader.join(5)
    assert not busy(secondary)
    assert time.monotonic() - began < 1


def test_a_read_sees_all_that_the_watermark_promises(pair, source):
    """A read from a secondary has every document written before its watermark, and soon all."""
    agg = [{"$match": {"t": {"$lt": None}}}, {"$count": "value"}]
    written, seen = [], 0
    with direct(pair[0]) as client:
        while seen < 50:
            written.append(datetime.now(UTC).replace(microsecond=0))
            client.shop.late.insert_one({"t": written[-1]})
            watermark = source.watermark()
            agg[0]["$match"]["t"]["$lt"] = watermark
            promised = sum(moment < watermark for moment in written)
            seen = sum(
                row["value"] for row in source.read(Request("test", source.Query("late", agg)))
            )
            assert seen >= promised
            time.sleep(0.02)


def test_the_watermark_of_a_secondary_is_its_last_write(source):
    """A secondary promises its last majority write, never its clock."""
    watermark = source.watermark()
    assert watermark.microsecond == 0
    assert watermark > datetime.now(UTC) - timedelta(seconds=30)
