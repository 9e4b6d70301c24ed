"""The source `mongodb` against a real server."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from bson import Binary, Decimal128, Int64, ObjectId
from pymongo import MongoClient

from parts.mongo import free_port, running_mongod
from signals_core import Cancelled, Collector, Request, Secret, Unavailable, Window
from signals_core.collector import MetricDefinition
from signals_core.distill import distill
from signals_mongo.source import MongoDB

DAY = Window(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC))
PASSWORD = "do-not-show-me"

# JavaScript that takes minutes, and a join that does: two ways for a server to be busy.
SLEEP = [
    {"$set": {"x": {"$function": {"body": "function() { sleep(100) }", "args": [], "lang": "js"}}}}
]
JOIN = [
    {
        "$lookup": {
            "from": "items",
            "let": {"n": "$n"},
            "pipeline": [{"$match": {"$expr": {"$ne": ["$n", "$$n"]}}}, {"$count": "others"}],
            "as": "others",
        }
    },
    {"$group": {"_id": None, "value": {"$sum": 1}}},
]
SLOW = pytest.mark.parametrize("slow", [SLEEP, JOIN], ids=["javascript", "join"])


@pytest.fixture
def items(mongo_client, mongo_database):
    """The empty collection `items` of the test's database."""
    return mongo_client[mongo_database].items


@pytest.fixture
def source(mongo_server, mongo_database):
    """An open source on the test's database that may run JavaScript."""
    with opened(mongo_server, mongo_database, allow_javascript=True) as source:
        yield source


@contextmanager
def opened(uri, database, **fields):
    source = MongoDB(Secret(uri), database, **fields)
    source.open()
    try:
        yield source
    finally:
        source.close()


def request(agg, *, window=None, timeout=60.0, origin="signals test"):
    query = MongoDB.Query("items", agg)
    return Request("test", query, window=window, timeout=timeout, origin=origin)


def rows(source, agg, **kwargs):
    return list(source.read(request(agg, **kwargs)))


def running(client, comment):
    """What the server does, or holds a cursor for, under `comment`."""
    comments = [{"command.comment": comment}, {"cursor.originatingCommand.comment": comment}]
    stages = [{"$currentOp": {"idleCursors": True}}, {"$match": {"$or": comments}}]
    return list(client.admin.aggregate(stages))


def eventually(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.01)
    return found


def total_by(field):
    return [{"$group": {"_id": field, "value": {"$sum": 1}}}, {"$sort": {"_id": 1}}]


# What comes back


def test_an_aggregate_of_the_window_counts_its_documents(source, items):
    """Bounds given as strings select the window, its start included and its end excluded."""
    moments = [DAY.start - timedelta(milliseconds=1), DAY.start, DAY.end, DAY.start]
    items.insert_many([{"t": moment, "who": "a"} for moment in moments])
    agg = [
        {"$match": {"t": {"$gte": ":window_start", "$lt": ":window_end"}}},
        *total_by("$who"),
    ]
    assert rows(source, agg, window=DAY) == [{"_id": "a", "value": 2}]


def test_the_original_projects_text_form_is_read(source, items):
    """A pipeline given as text of extended JSON gives what the same list gives."""
    items.insert_many([{"account": name} for name in ("amazon",) * 2 + ("google",) * 3])
    text = """[
        {"$match": {"_id": {"$lt": {"$oid": "ffffffffffffffffffffffff"}}}},
        {"$group": {"_id": "$account", "value": {"$sum": 1}}},
        {"$project": {"_id": 0, "customer": "$_id", "value": 1}},
        {"$sort": {"customer": 1}}
    ]"""
    assert rows(source, text) == [
        {"customer": "amazon", "value": 2},
        {"customer": "google", "value": 3},
    ]


def test_object_id_bounds_select_by_the_time_of_creation(source, items):
    """`:window_start_oid` and `:window_end_oid` select the ObjectIds made in the window."""
    seconds = [DAY.start, DAY.end - timedelta(seconds=1), DAY.end, DAY.start - timedelta(seconds=1)]
    items.insert_many(
        [
            {"_id": ObjectId(int(second.timestamp()).to_bytes(4, "big") + b"\xff" * 8)}
            for second in seconds
        ]
    )
    agg = [
        {"$match": {"_id": {"$gte": ":window_start_oid", "$lt": ":window_end_oid"}}},
        {"$count": "value"},
    ]
    assert rows(source, agg, window=DAY) == [{"value": 2}]


def test_local_bounds_select_by_the_wall_clock(source, items):
    """Local bounds meet dates that hold a local wall clock as if it were UTC."""
    window = Window(
        datetime(2026, 1, 1, 5, tzinfo=UTC),
        datetime(2026, 1, 2, 5, tzinfo=UTC),
        local_start=datetime(2026, 1, 1),
        local_end=datetime(2026, 1, 2),
    )
    items.insert_many([{"t": datetime(2026, 1, 1)}, {"t": datetime(2026, 1, 2)}])
    match = {"t": {"$gte": ":window_start_local", "$lt": ":window_end_local"}}
    agg = [{"$match": match}, {"$count": "value"}]
    assert rows(source, agg, window=window) == [{"value": 1}]


def test_bounds_are_literals_to_the_planner(source, items, mongo_client):
    """On a multikey index a window reads its own keys only, and never a document without one."""
    items.create_index("t")
    items.insert_many([{"t": [DAY.end, DAY.end + timedelta(days=1)]} for _ in range(300)])
    items.insert_many([{"other": 1} for _ in range(300)])
    items.insert_many([{"t": [DAY.start, DAY.end]}, {"t": DAY.start}])
    agg = [
        {"$match": {"t": {"$gte": ":window_start", "$lt": ":window_end"}}},
        {"$unwind": "$t"},
        {"$match": {"t": {"$lt": ":window_end"}}},
        {"$count": "value"},
    ]
    with profiled(mongo_client, items.database.name) as profile:
        assert rows(source, agg, window=DAY) == [{"value": 2}]
    assert sum(entry.get("docsExamined", 0) for entry in profile) == 2


def test_every_kind_of_value_arrives_as_its_own(source, items):
    """Numbers stay exact, times are aware and in UTC, ids are text, and the missing is missing."""
    items.insert_one(
        {
            "_id": ObjectId("0123456789abcdef01234567"),
            "decimal": Decimal128("12345678901234567890.123456789"),
            "long": Int64(2**62),
            "int": 7,
            "double": 0.1,
            "null": None,
            "true": True,
            "text": ":window",
            "date": datetime(2026, 1, 1, 12, 30, 0, 123000),
            "uuid": Binary.from_uuid(UUID("12345678-1234-5678-1234-567812345678")),
        }
    )
    (row,) = rows(source, [{"$project": {"missing": 1, **dict.fromkeys(KINDS, 1)}}])
    assert row == KINDS | {"_id": "0123456789abcdef01234567"}
    assert {name: type(value) for name, value in row.items()} == {
        "_id": str,
        **{name: type(value) for name, value in KINDS.items()},
    }
    assert row["date"].tzinfo is UTC


KINDS = {
    "decimal": Decimal("12345678901234567890.123456789"),
    "long": 2**62,
    "int": 7,
    "double": 0.1,
    "null": None,
    "true": True,
    "text": ":window",
    "date": datetime(2026, 1, 1, 12, 30, 0, 123000, tzinfo=UTC),
    "uuid": UUID("12345678-1234-5678-1234-567812345678"),
}


@pytest.mark.parametrize(
    ("key", "tag"),
    [
        (None, {}),
        (7, {"_id": "7"}),
        (Int64(2**40), {"_id": "1099511627776"}),
        (datetime(2026, 1, 1), {"_id": "2026-01-01T00:00:00Z"}),
        (ObjectId("0123456789abcdef01234567"), {"_id": "0123456789abcdef01234567"}),
        (Decimal128("1.10"), {"_id": "1.10"}),
        (True, {"_id": "true"}),
        ({"country": "fr", "vip": False, "none": None}, {"country": "fr", "vip": "false"}),
    ],
    ids=["null", "int", "long", "date", "ObjectId", "decimal", "bool", "compound"],
)
def test_a_group_key_is_a_tag(source, items, key, tag):
    """A group key of any scalar kind is the tag `_id`, a compound one a tag for each field."""
    items.insert_one({"key": key})
    collector = Collector(
        name="test",
        source=source,
        metric=MetricDefinition("test", "COUNT"),
        grain="1d",
    )
    found = source.read(request([{"$group": {"_id": "$key", "value": {"$sum": 1}}}]))
    reading = distill(collector, found, timestamp=DAY.end, window=DAY)
    assert [(metric.value, dict(metric.tags)) for metric in reading.metrics] == [(1, tag)]


def test_a_decimal_reaches_a_metric_digit_by_digit(source, items):
    """The sum of Decimal128 values is the exact decimal that the server computed."""
    items.insert_many([{"v": Decimal128("0.1")} for _ in range(3)])
    items.insert_one({"v": Decimal128("10000000000000000000000000000.01")})
    agg = [{"$group": {"_id": None, "value": {"$sum": "$v"}}}]
    collector = Collector(name="test", source=source, metric=MetricDefinition("test", "SUM"))
    reading = distill(collector, source.read(request(agg)), timestamp=DAY.end, window=None)
    assert [metric.value for metric in reading.metrics] == [
        Decimal("10000000000000000000000000000.31")
    ]


def test_a_date_that_python_cannot_hold_is_one_line(source, items, mongo_client):
    """A date past the year 9999 is an error that says so."""
    mongo_client[items.database.name].command(
        "update",
        "items",
        updates=[
            {
                "q": {},
                "u": [{"$set": {"t": {"$toDate": Int64(2**52)}}}],
                "upsert": True,
            }
        ],
    )
    with pytest.raises(ValueError, match=r"^a row cannot be read: year \d+ is out of range$"):
        rows(source, [{"$match": {}}])


def test_rows_come_in_batches_that_are_not_held(source, items, mongo_client):
    """A reader that stops early leaves no cursor at the server, and has not fetched the rest."""
    items.insert_many([{"n": n, "pad": "x" * 200} for n in range(20_000)])
    read = source.read(request([{"$match": {}}], origin="signals early"))
    assert "n" in next(read)
    assert len(running(mongo_client, "signals early")) == 1
    read.close()
    assert running(mongo_client, "signals early") == []


def test_a_cancelled_read_stops_between_batches(source, items):
    """A read that was told to stop while its rows are used does not fetch another batch."""
    items.insert_many([{"n": n} for n in range(20_000)])
    wanted = request([{"$match": {}}])
    read = source.read(wanted)
    next(read)
    wanted.cancel()
    with pytest.raises(Cancelled):
        list(read)


# What the server is asked


@contextmanager
def profiled(client, database):
    """Collect what the server's profiler records of the collection `items`."""
    entries = []
    client[database].command("profile", 2)
    try:
        yield entries
    finally:
        client[database].command("profile", 0)
        entries += client[database]["system.profile"].find({"ns": f"{database}.items"})


def test_the_command_is_limited_and_says_where_it_comes_from(source, items, mongo_client):
    """One aggregate: majority read concern, no disk, a time limit, and the run's origin."""
    items.insert_one({})
    with profiled(mongo_client, items.database.name) as profile:
        rows(source, [{"$count": "value"}], timeout=30, origin="signals r1 test")
    (command,) = [entry["command"] for entry in profile if "aggregate" in entry["command"]]
    assert command["comment"] == "signals r1 test"
    assert command["allowDiskUse"] is False
    assert command["readConcern"]["level"] == "majority"
    assert 29_000 < command["maxTimeMS"] <= 30_000


def test_a_group_that_needs_the_disk_is_refused(source, items, mongo_client):
    """A pipeline that outgrows the server's memory fails, with the remedy, instead of spilling."""
    items.insert_many([{"pad": f"{n}" + "x" * 100_000} for n in range(1200)])
    with pytest.raises(RuntimeError, match=r"Exceeded.*may spill to disk: match less"):
        rows(source, [{"$group": {"_id": "$pad"}}])


def test_reads_see_what_was_written_before_the_watermark(source, items):
    """A read after the watermark waits for all that was written before it."""
    for n in range(20):
        items.insert_one({"n": n})
        source.watermark()
        assert rows(source, [{"$count": "value"}]) == [{"value": n + 1}]


def test_the_watermark_of_an_idle_primary_is_its_clock(source, items):
    """With nothing under way the watermark follows the clock, aware and in UTC."""
    items.insert_one({})
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    first, _, second = source.watermark(), time.sleep(0.05), source.watermark()
    assert before <= first < second <= datetime.now(UTC)
    assert second.utcoffset() == timedelta()


def test_readers_share_few_connections(mongo_server, mongo_database, mongo_client, items):
    """However many reads come at once, they share the connections of the limit, and one more."""
    items.insert_one({})
    fields = {"max_connections": 2, "allow_javascript": True}
    uri = mongo_server + ("&" if "?" in mongo_server else "?") + "appName=few"
    with opened(uri, mongo_database, **fields) as source:
        readers = [threading.Thread(target=rows, args=(source, SLEEP)) for _ in range(9)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        everything = [{"$currentOp": {"idleConnections": True}}, {"$match": {"appName": "few"}}]
        # The driver watches the server on connections of its own: one waits for news.
        pooled = [
            entry
            for entry in mongo_client.admin.aggregate(everything)
            if "hello" not in entry.get("command", {})
        ]
    measures_the_round_trip = 1
    assert 2 <= len(pooled) <= 2 + 1 + measures_the_round_trip


# What must not happen


@pytest.mark.parametrize(
    "agg",
    [
        [{"$match": {}}, {"$out": "stolen"}],
        [{"$merge": {"into": "items", "whenMatched": [{"$set": {"n": -1}}]}}],
        [{"$facet": {"a": [{"$out": "stolen"}]}}],
        [{"$lookup": {"from": "items", "as": "x", "pipeline": [{"$out": "stolen"}]}}],
        [{"$unionWith": {"coll": "items", "pipeline": [{"$merge": "stolen"}]}}],
        SLEEP,
        [{"$match": {"$where": "function() { return true }"}}],
    ],
    ids=["out", "merge", "facet", "lookup", "unionWith", "function", "where"],
)
def test_a_hostile_pipeline_changes_nothing(mongo_server, mongo_database, items, agg):
    """A pipeline that writes or runs JavaScript is refused before it is sent."""
    items.insert_many([{"n": n} for n in range(3)])
    before = list(items.find())
    with opened(mongo_server, mongo_database) as source:
        for attempt in (
            lambda: source.parameters(source.Query("items", agg)),
            lambda: source.check(source.Query("items", agg)),
            lambda: rows(source, agg),
        ):
            with pytest.raises(ValueError, match=r"^agg\[") as caught:
                attempt()
            assert "\n" not in str(caught.value)
    assert list(items.find()) == before
    assert items.database.list_collection_names() == ["items"]


def test_javascript_that_is_allowed_runs(source, items):
    """With allow_javascript a function of the pipeline is run by the server."""
    items.insert_one({"n": 20})
    double = {"body": "function(n) { return n * 2 }", "args": ["$n"], "lang": "js"}
    agg = [{"$project": {"_id": 0, "value": {"$function": double}}}]
    assert rows(source, agg) == [{"value": 40.0}]


# How it ends


@SLOW
def test_a_query_that_takes_too_long_is_ended(source, items, mongo_client, slow):
    """Past its timeout a query is an error, and no longer runs at the server."""
    items.insert_many([{"n": n} for n in range(5_000)])
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"longer than its timeout of 0\.7 s$"):
        rows(source, slow, timeout=0.7, origin="signals late")
    assert time.monotonic() - began < 2
    assert eventually(lambda: not running(mongo_client, "signals late"), 1)
    assert source.watermark()


@SLOW
def test_a_cancelled_query_ends_at_the_server(source, items, mongo_client, slow):
    """Within a second of a cancel the query is gone from the server and the read has ended."""
    items.insert_many([{"n": n} for n in range(5_000)])
    wanted, ends = request(slow, origin="signals cancel"), []

    def read():
        with pytest.raises(Cancelled):
            list(source.read(wanted))
        ends.append(time.monotonic())

    reader = threading.Thread(target=read)
    reader.start()
    assert eventually(lambda: running(mongo_client, "signals cancel"))
    began = time.monotonic()
    wanted.cancel()
    assert eventually(lambda: not running(mongo_client, "signals cancel"), 1)
    reader.join(1)
    assert ends and ends[0] - began < 1


def test_a_cancel_at_any_moment_ends_the_read(source, items):
    """A read that is cancelled just as it begins ends like one that is under way."""
    items.insert_many([{"n": n} for n in range(5_000)])
    for milliseconds in (0, 0.2, 0.5, 1, 2, 4, 8):
        wanted = request(JOIN)
        canceller = threading.Timer(milliseconds / 1000, wanted.cancel)
        began = time.monotonic()
        canceller.start()
        with pytest.raises(Cancelled):
            list(source.read(wanted))
        assert time.monotonic() - began < 1


def test_an_interrupt_ends_the_query_at_the_server(source, items, mongo_client):
    """Ctrl-C in the thread that reads ends the query at the server too."""
    items.insert_many([{"n": n} for n in range(5_000)])

    def interrupt():
        eventually(lambda: running(mongo_client, "signals interrupt"))
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        rows(source, SLEEP, origin="signals interrupt")
    assert eventually(lambda: not running(mongo_client, "signals interrupt"), 1)


# When it cannot


def test_a_server_that_is_down_is_unavailable():
    """Nobody listening: one line with the host, without the password."""
    port = free_port()
    source = MongoDB(
        Secret(f"mongodb://me:{PASSWORD}@127.0.0.1:{port}/"),
        "shop",
        connect_timeout=timedelta(seconds=0.3),
    )
    with pytest.raises(Unavailable) as caught:
        source.open()
    assert str(caught.value) == (
        f"mongodb at 127.0.0.1:{port}: 127.0.0.1:{port}: Connection refused"
    )
    source.close()


def test_an_unknown_host_is_unavailable():
    """A host that has no address: one line with its name, without the password."""
    source = MongoDB(
        Secret(f"mongodb://me:{PASSWORD}@nowhere.invalid,nor.here.invalid/?replicaSet=x"),
        "shop",
        connect_timeout=timedelta(seconds=0.5),
    )
    with pytest.raises(Unavailable) as caught:
        source.open()
    text = str(caught.value)
    assert text.startswith("mongodb at nowhere.invalid,nor.here.invalid: ")
    assert "\n" not in text and len(text) < 300 and PASSWORD not in text


def test_an_unknown_cluster_is_unavailable():
    """A cluster name that the DNS does not know: one line with its name."""
    source = MongoDB(Secret("mongodb+srv://nowhere.invalid"), "shop")
    with pytest.raises(Unavailable, match=r"^mongodb at nowhere\.invalid: "):
        source.open()


@pytest.mark.parametrize(
    "uri",
    [
        f"mongodb://me:{PASSWORD}/x@host:1/",
        f"mongodb://me:{PASSWORD}?x@host:1/",
        f"mongodb://me:@{PASSWORD}:@host:1/",
        f"mongodb://me:{PASSWORD}",
        "mongodb://",
        "mongodb://host:99999",
    ],
)
def test_a_malformed_uri_is_one_line_without_the_password(uri):
    """A URI that is none is an error that says how one is written and shows nothing of it."""
    with pytest.raises((ValueError, Unavailable)) as caught:
        MongoDB(Secret(uri), "shop").open()
    assert PASSWORD not in str(caught.value) and "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def guarded():
    """The port of a server without replication that knows one user, who may only read."""
    with running_mongod("--auth") as port:
        users = MongoClient("127.0.0.1", port).admin
        users.command("createUser", "root", pwd=PASSWORD, roles=["root"])
        root = MongoClient("127.0.0.1", port, username="root", password=PASSWORD)
        root.shop.items.insert_many([{"n": n} for n in range(2_000)])
        root.admin.command("createUser", "me", pwd=PASSWORD, roles=[{"role": "read", "db": "shop"}])
        users.client.close()
        yield port
        root.close()


def test_a_wrong_password_is_one_line_without_it(guarded):
    """A password that the server refuses is said to be one, and is not shown."""
    source = MongoDB(Secret(f"mongodb://me:wrong-{PASSWORD}@127.0.0.1:{guarded}/"), "shop")
    with pytest.raises(Unavailable) as caught:
        source.open()
    assert str(caught.value) == (
        f"mongodb at 127.0.0.1:{guarded}: authentication failed "
        "(check user, password and authSource)"
    )


def test_a_role_that_may_only_read_suffices(guarded):
    """The built-in role `read` of one database is enough to read, check, wait and cancel."""
    with opened(f"mongodb://me:{PASSWORD}@127.0.0.1:{guarded}/", "shop") as source:
        assert rows(source, [{"$count": "value"}]) == [{"value": 2_000}]
        assert source.check(source.Query("items", [{"$count": "value"}])) == ["value"]
        assert abs(source.watermark() - datetime.now(UTC)) < timedelta(seconds=1)
        wanted = request(JOIN * 3)
        canceller = threading.Timer(0.2, wanted.cancel)
        began = time.monotonic()
        canceller.start()
        with pytest.raises(Cancelled):
            list(source.read(wanted))
        assert time.monotonic() - began < 1.2


def test_what_a_role_may_not_read_is_one_short_line(guarded):
    """A database without the right to read it is an error that names the right."""
    uri = f"mongodb://me:{PASSWORD}@127.0.0.1:{guarded}/"
    with opened(uri, "secret") as source, pytest.raises(RuntimeError) as caught:
        rows(source, [{"$count": "value"}])
    assert str(caught.value) == (
        f"mongodb at 127.0.0.1:{guarded}: Unauthorized: not authorized on secret"
    )


def test_a_server_that_goes_away_is_unavailable_and_comes_back():
    """A source whose server is gone says so, and works again once it is reopened."""
    port = free_port()
    source = MongoDB(
        Secret(f"mongodb://127.0.0.1:{port}"), "shop", connect_timeout=timedelta(seconds=0.5)
    )
    with running_mongod(port=port):
        source.open()
        assert rows(source, [{"$count": "value"}]) == []
    began = time.monotonic()
    for attempt in (source.watermark, lambda: rows(source, [{"$count": "value"}])):
        with pytest.raises(Unavailable, match=rf"^mongodb at 127\.0\.0\.1:{port}: "):
            attempt()
    assert time.monotonic() - began < 5
    source.close()
    with running_mongod(port=port):
        source.open()
        assert rows(source, [{"$count": "value"}]) == []
    source.close()


def test_a_query_that_the_server_refuses_is_one_line(source, items):
    """What only the server can know to be wrong is its own words on one line."""
    items.insert_one({"n": "text"})
    with pytest.raises(
        RuntimeError, match=r"^mongodb at [^ ]+: \w+: \$add only supports"
    ) as caught:
        rows(source, [{"$project": {"value": {"$add": ["$n", 1]}}}])
    assert "\n" not in str(caught.value) and "errmsg" not in str(caught.value)


def test_closing_is_always_possible(mongo_server, mongo_database):
    """A source may be closed before it was opened and twice, and opened again."""
    source = MongoDB(Secret(mongo_server), mongo_database)
    source.close()
    source.open()
    source.open()
    source.close()
    source.close()
    with pytest.raises(Unavailable, match="not open"):
        source.watermark()


# What `config check` shows


def test_check_tells_the_columns_and_reads_nothing(source, items, mongo_client):
    """A check has the pipeline planned: it tells the columns and examines no document."""
    items.insert_many([{"t": DAY.start} for _ in range(10)])
    agg = [
        {"$match": {"t": {"$gte": ":window_start", "$lt": ":window_end"}}},
        {"$group": {"_id": {"who": "$who"}, "value": {"$sum": 1}}},
    ]
    with profiled(mongo_client, items.database.name) as profile:
        assert source.check(source.Query("items", agg)) == ["who", "value"]
    assert sum(entry.get("docsExamined", 0) for entry in profile) == 0


def test_check_names_the_nearest_collection(source, items):
    """A collection that does not exist is an error with the nearest that does."""
    items.insert_one({})
    with pytest.raises(ValueError) as caught:
        source.check(source.Query("item", [{"$count": "value"}]))
    assert str(caught.value) == (
        f"the database {items.database.name!r} has no collection 'item' (nearest: items)"
    )


def test_check_refuses_what_the_server_does_not_accept(source, items):
    """A pipeline that the server cannot plan fails the check."""
    items.insert_one({})
    with pytest.raises(RuntimeError, match=r"(Unrecognized|Unknown) expression '?\$nonsense"):
        source.check(source.Query("items", [{"$project": {"value": {"$nonsense": 1}}}]))


def test_sources_are_equal_by_their_configuration(mongo_server, mongo_database):
    """An open source equals a closed one of the same fields, and shows no secret."""
    with opened(mongo_server, mongo_database) as source:
        assert source == MongoDB(Secret(mongo_server), mongo_database)
        assert mongo_server not in repr(source)
