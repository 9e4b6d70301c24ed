"""What happened, where a number comes from, what is asked for, and what is forgotten."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from signals_core import Batch, Grain, Reading
from signals_core.metric import Metrics
from signals_core.store import Item, Letter, Position, Run, Store
from signals_core.store.records import items_of, micros, moment
from store.made import (
    HOUR,
    KEY,
    SECOND,
    START,
    commit,
    covering,
    drop,
    metric,
    reading,
    run_of,
    told,
    window,
)

DAY = timedelta(days=1)


def failed(collector, at, **other):
    """Return a run that failed."""
    return Run(
        collector=collector,
        name=f"{collector}, renamed",
        origin="signals 1",
        started=at,
        outcome="failed",
        reason="division by zero",
        **other,
    )


@given(st.datetimes().map(lambda naive: naive.replace(tzinfo=START.tzinfo)))
def test_times_are_kept_to_the_microsecond(time):
    """A moment comes back as it was given, from the year 1 to 9999."""
    assert moment(micros(time)) == time


@given(st.sets(st.tuples(st.integers(1, 3), st.integers(0, 9))))
def test_places_become_items(places):
    """Joined items hold the same places, and no two of them touch."""
    items = list(items_of(Position(*place) for place in sorted(places)))
    assert {(number, i) for number, first, last in items for i in range(first, last)} == places
    for item, following in pairwise(items):
        assert (item.reading_id, item.last) < (following.reading_id, following.first)


def test_runs_newest_first(store):
    """Runs come back as they were recorded, newest first, of all collectors or of one."""
    made = [failed("ab"[index % 2], START + index * SECOND, window=window()) for index in range(6)]
    ids = [store.record(run) for run in made]
    found = store.runs()
    assert [run.id for run in found] == ids[::-1]
    assert found[0].reason == "division by zero" and found[0].query is None
    assert found[0].name == "b, renamed" and found[0].window == window()
    assert [run.id for run in store.runs("a")] == ids[4::-2]
    assert [run.id for run in store.runs("a", limit=2)] == [ids[4], ids[2]]
    assert [run.id for run in store.runs(limit=1)] == ids[5:]
    assert store.runs("unheard.of") == []


def test_last_runs(store):
    """Each collector has its last run, whatever became of it."""
    commit(store, reading([1]))
    store.record(failed("shop.orders", START + SECOND))
    store.record(failed("other", START))
    last = store.last_runs()
    assert last.keys() == {"shop.orders", "other"}
    assert last["shop.orders"].outcome == "failed" and last["other"].started == START


def test_queries_are_kept_once(store):
    """The text of a query that a thousand runs share is stored once."""
    for second in range(50):
        store.record(failed("a", START + second * HOUR, query="SELECT 1 AS value"))
    store.record(failed("a", START, query="SELECT 2 AS value"))
    assert {run.query for run in store.runs()} == {"SELECT 1 AS value", "SELECT 2 AS value"}
    with store._database.snapshot() as connection:
        assert connection.execute("SELECT count(*) FROM query").fetchone() == (2,)


def test_where_a_number_comes_from(store):
    """Each version of a metric is found with its run, and what became of it at each sink."""
    sinks = ["lake", "console", "paper"]
    for second, values in enumerate([{1: 1, 2: 2}, {1: 5, 2: 2}]):
        commit(store, reading(values, START + second * SECOND, window()), sinks)
    store.acknowledge("lake", [Item(1, 0, 2)], at=START + HOUR)
    store.bury("console", [Letter(1, 0, "no")], at=START + HOUR, delivered=[Item(1, 1, 2)])
    drop(store, "paper")
    newest, oldest = store.find(UUID(int=1))
    assert (newest.metric.value, oldest.metric.value) == (5, 1)
    assert newest.run.started == START + SECOND and newest.window == window()
    assert newest.pending == ("console", "lake") and newest.deliveries == {}
    assert oldest.deliveries == {"lake": START + HOUR}
    assert oldest.dead == {"console": "no"} and oldest.dropped == ("paper",)
    assert store.find(UUID(int=2))[1].deliveries == {"lake": START + HOUR, "console": START + HOUR}
    assert store.find(UUID(int=3)) == []


def test_a_query_is_shown_as_it_ran(store):
    """What is stored is the query alone; a number is shown with the bounds of its window."""
    paris = Grain.parse("1d", "Europe/Paris").window(START)
    found = evolve(
        metric(1, 1, START, paris), grain="1d", timezone="Europe/Paris", window_end=paris.end
    )
    read = Reading("shop.orders", START, paris, Metrics([Batch([found.encode()])]), rows=1)
    commit(store, read)
    (run,) = store.runs()
    assert run.query == run_of(read).query
    assert store.find(UUID(int=1))[0].run.query == (
        "SELECT count(*) AS value\n"
        "window_start = 2025-12-31T23:00:00Z\n"
        "window_end = 2026-01-01T23:00:00Z\n"
        "window_start_local = 2026-01-01T00:00:00\n"
        "window_end_local = 2026-01-02T00:00:00"
    )
    commit(store, reading([2], START + SECOND, window()))
    assert store.find(UUID(int=2))[0].run.query == run_of(read).query


def test_a_large_reading_is_searched_whole(store):
    """A metric is found by its index in whichever chunk of its reading it is."""
    commit(store, reading(range(3000)))
    store.bury("lake", [Letter(1, 2987, "no")], at=START)
    (found,) = store.find(UUID(int=2987))
    assert found.metric.value == 2987 and found.dead == {"lake": "no"}
    assert store.find(UUID(int=2986))[0].dead == {}


def test_a_delivery_in_parts(store):
    """A reading taken in parts has the time of the last one; what is left is pending."""
    commit(store, reading([1, 2, 3]))
    store.acknowledge("lake", [Item(1, 0, 1)], at=START)
    store.acknowledge("lake", [Item(1, 1, 2)], at=START + SECOND)
    assert store.find(UUID(int=1))[0].deliveries == {"lake": START + SECOND}
    assert store.find(UUID(int=3))[0].pending == ("lake",)


_ASK = """
import sys
from pathlib import Path
from signals_core.store import Store
with Store.look(Path(sys.argv[1])) as store:
    print(store.request("backfill", {"name": "shop.orders", "sinks": ["lake"]}))
"""


def test_a_request_beside_the_writer(folder, store):
    """Another process leaves a request while this one writes, and hears what became of it."""
    asked = subprocess.run(
        [sys.executable, "-c", _ASK, str(folder)], capture_output=True, text=True, check=True
    )
    (request,) = store.requests()
    assert request.id == int(asked.stdout) and request.kind == "backfill"
    assert request.arguments == {"name": "shop.orders", "sinks": ["lake"]}
    store.progress_request(request.id, {"done": 3, "of": 9})
    with Store.look(folder) as reader:
        assert reader.requests()[0].progress == {"done": 3, "of": 9}
        store.finish_request(request.id, "done", at=START)
        assert reader.requests() == []
        (answered,) = reader.requests(open_only=False)
    assert (answered.outcome, answered.finished) == ("done", START)
    assert answered.progress == {"done": 3, "of": 9}


def test_what_is_old_is_forgotten(store):
    """Runs, readings, what is known of them, and answered requests go after 35 days."""
    commit(store, reading([1]), ["lake", "console"])
    store.acknowledge("lake", [Item(1, 0, 1)], at=START)
    drop(store, "console")
    store.finish_request(store.request("backfill", {}, at=START), "done", {}, at=START)
    open_request = store.request("backfill", {}, at=START)
    store.record(failed("old", START, query="SELECT 'old'"))
    store.record(failed("new", START + 36 * DAY, query="SELECT 'new'"))
    assert store.prune(START + 34 * DAY) == 0
    for collector in ("shop.orders", "old"):
        store.record(failed(collector, START + 36 * DAY, query="SELECT 'new'"))
    assert store.prune(START + 40 * DAY) == 1
    assert {run.query for run in store.runs()} == {"SELECT 'new'", run_of(reading([])).query}
    assert [len(store.runs(name)) for name in ("shop.orders", "old", "new")] == [2, 1, 1]
    assert store.find(UUID(int=1)) == [] and store.dropped() == []
    assert [request.id for request in store.requests(open_only=False)] == [open_request]
    with store._database.snapshot() as connection:
        for table in ("chunk", "pending", "delivery", "dropped"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
        assert connection.execute("SELECT count(*) FROM query").fetchone() == (2,)


def test_the_last_run_and_the_last_success_stay(store):
    """However rarely a collector runs, its last run is known, and its last that succeeded."""
    commit(store, reading([1]), [])
    commit(store, reading([2], START + DAY), [])
    for day in (2, 3, 400):
        store.record(failed("shop.orders", START + day * DAY))
    store.record(failed("yearly", START))
    assert store.prune(START + 401 * DAY) == 3
    kept = [(run.outcome, (run.started - START) // DAY) for run in store.runs("shop.orders")]
    assert kept == [("failed", 400), ("read", 1)]
    assert [run.started for run in store.runs("yearly")] == [START]
    assert store.last_runs().keys() == {"shop.orders", "yearly"}


@pytest.mark.parametrize("numbers", [[], [1]])
def test_what_a_run_that_stays_has_read_goes(store, numbers):
    """The payload of an old reading is forgotten with the others', and is compared with no more."""
    commit(store, reading(numbers, bucket=window()), [])
    assert store.prune(START + 40 * DAY) == 0 and len(store.runs()) == 1
    assert store.find(UUID(int=1)) == []
    again = commit(store, reading(numbers, START + 40 * DAY, window()), ["lake"])
    assert not again.unchanged and len(told(store)) == len(numbers)


def test_what_is_needed_stays(store):
    """Readings that are pending or hold a dead letter stay, with their runs, until they are not."""
    commit(store, reading([1, 2]), ["lake", "console"])
    commit(store, reading([3], START + SECOND))
    store.bury("lake", [Letter(1, 0, "no")], at=START, delivered=[Item(1, 1, 2)])
    store.acknowledge("console", [Item(1, 0, 2)], at=START)
    late = START + 99 * DAY
    assert store.prune(late) == 0
    assert store.dead_letters()[0].metric.uuid.int == 1 and told(store) == [(3, 3)]
    assert all(run.query for run in store.runs())
    store.record(failed("shop.orders", late))
    commit(store, reading([], late), [])
    store.drop_dead("lake")
    assert store.prune(late) == 1 and [run.id for run in store.runs()] == [4, 3, 2]
    drop(store, "lake")
    assert store.prune(late) == 1 and [run.id for run in store.runs()] == [4, 3]


def test_versions_and_coverage_are_never_forgotten(store):
    """However old, coverage and the high-water mark stay."""
    commit(store, reading([1], bucket=window()), [], coverage=(KEY, None, covering(0)))
    store.prune(START + 9999 * DAY)
    assert store.coverage(KEY) == covering(0) and store.last_version(KEY[0]) == START


def test_a_clock_that_was_wrong(store):
    """Runs from the future, made while the clock was wrong, keep no others from being forgotten."""
    for at in (START + 365 * DAY, START, START + 39 * DAY, START + 40 * DAY):
        store.record(failed("a", at))
    assert store.prune(START + 40 * DAY) == 1
    assert [run.started - START for run in store.runs()] == [40 * DAY, 39 * DAY, 365 * DAY]


def test_the_file_shrinks(folder):
    """After a backlog is gone its room is given back to the file system."""
    with Store.open(folder) as store:
        for second in range(30):
            commit(store, reading(range(2000), START + second * SECOND))
        while packed := store.pending("lake", metrics=5000, bytes=10**7):
            store.acknowledge("lake", packed.items, at=START)
        commit(store, reading([1], START + 40 * DAY))
        grown = store.size_bytes
        assert grown > 10_000_000
        store.prune(START + 40 * DAY)
        assert store.size_bytes < 300_000
        assert told(store) == [(1, 1)]


def test_room_is_given_back_in_steps(store):
    """Each step gives back as many pages as it was asked for, so that none takes long."""
    commit(store, reading(range(2000)))
    drop(store, "lake")
    with store._database.transaction() as connection:
        connection.execute("DELETE FROM chunk")
    _, free = store._database.pages()
    assert free > 60 and store._database.vacuum(50) == free - 50


@settings(max_examples=5)
@given(st.integers(500, 1200))
def test_many_old_runs(tmp_path_factory, count):
    """Old runs go however many they are, though each transaction takes only some."""
    with Store.open(tmp_path_factory.mktemp("state")) as store:
        with store._database.transaction() as connection:
            connection.execute("INSERT INTO collector (number, id) VALUES (1, 'a')")
            connection.executemany(
                "INSERT INTO run (collector, origin, started, rows, metrics, milliseconds, outcome)"
                " VALUES (1, '', ?, 0, 0, 0, 'read')",
                [(micros(START),)] * count,
            )
        assert store.prune(START + 40 * DAY) == count


def test_one_collectors_history_after_pruning(store):
    """A collector's runs are found behind what was forgotten of it."""
    for day in (0, 1, 40, 41):
        store.record(failed("a", START + day * DAY))
    store.prune(START + 41 * DAY)
    assert [(run.started - START) // DAY for run in store.runs("a")] == [41, 40]


def test_the_id_of_a_run_is_not_given_out_again(store):
    """A run that was forgotten is no other one later: no collector takes another's for its own."""
    for collector in "aab":
        store.record(failed(collector, START))
    store.prune(START + 40 * DAY)
    assert [store.record(failed(each, START + 40 * DAY)) for each in "bbba"] == [4, 5, 6, 7]
    store.prune(START + 40 * DAY)
    assert [run.id for run in store.runs("a")] == [7]
    assert {name: run.id for name, run in store.last_runs().items()} == {"a": 7, "b": 6}
