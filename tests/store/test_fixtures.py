"""Files that earlier versions wrote: every later one opens them and finds all that is in them."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from attrs import evolve

from signals_core.store import Store, schema
from store.made import HOUR, KEY, SECOND, START, commit, reading, told, window
from store.state import PAUSED, TAKEN, coverage, fill

_FIXTURES = sorted(Path(__file__).with_name("fixtures").glob("*.db"))


def check_state(store):
    """See that a store holds the state of `store.state`, and can go on from it."""
    assert store.coverage(KEY) == coverage()
    assert store.last_version(KEY[0]) == window(6).end + SECOND
    assert told(store) == [(1, 6), (2, 7), (3, 8), (1, 5), (2, None), (3, None)]
    assert told(store, "gone") == [(1, 5), (2, None), (3, None)]
    console, gone, lake = store.outbox()
    assert (console.dropped, console.reason) == (3, "401 Unauthorized")
    assert (console.suspended_since, console.failing_since) == (window(7).start, window(6).start)
    assert gone.orphaned and gone.oldest == window(6).end + SECOND and gone.metrics == 3
    assert not lake.orphaned and lake.metrics == 6 and lake.dead_letters == 1
    assert lake.dead_bytes == len(store.dead_letters("lake")[0].metric.encode()) + 1
    (letter,) = store.dead_letters()
    assert (letter.metric.value, letter.reason) == (3, "too old")
    failed, *others = store.runs()
    assert (failed.name, failed.query, failed.window) == (
        "orders",
        "SELECT 1 / 0 AS value",
        window(4),
    )
    assert [run.metrics for run in others] == [1, 3, 1, 2]
    assert store.find(UUID(int=2))[-1].deliveries == {"lake": window(7).start}
    done, asked = store.requests(open_only=False)
    assert (done.outcome, done.progress, done.finished) == ("done", {"done": 9}, window(8).end)
    assert asked.kind == "retry" and asked.arguments == {"sink": "lake"}
    assert store.retry_dead("lake") == (1, 0)
    again = reading({1: 5}, START + 9 * HOUR, window(6))
    assert commit(store, again, coverage=(KEY, coverage(), coverage())).unchanged


@pytest.mark.parametrize("file", _FIXTURES, ids=lambda file: file.stem)
def test_files_of_every_version(file, folder):
    """What a released version left is opened, upgraded and gone on from."""
    folder.mkdir()
    shutil.copyfile(file, folder / "store.db")
    with Store.open(folder) as store:
        check_state(store)
        if file.stem >= "version-3":
            known = TAKEN if file.stem >= "version-4" else evolve(TAKEN, left_out=[])
            assert store.pauses(PAUSED.since) == [PAUSED] and store.taken_up() == known
        else:
            assert store.pauses(PAUSED.since) == [] and store.taken_up() is None


def test_today(store):
    """What today's version writes is what is looked for."""
    fill(store)
    check_state(store)


def tables(path):
    """Return the tables of a file, in the words that made them."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY 1").fetchall()


def todays_tables():
    """Return the tables of a new store."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(schema.TABLES)
        return connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY 1").fetchall()


def test_todays_schema_has_a_fixture():
    """The tables of today's version are those in its file: a change needs a new version."""
    file = _FIXTURES[-1]
    assert file.stem == f"version-{schema.VERSION}" and tables(file) == todays_tables()


@pytest.mark.parametrize("file", _FIXTURES, ids=lambda file: file.stem)
def test_an_upgraded_file_is_like_a_new_one(file, folder):
    """An upgrade leads to the tables of a new store, to the letter, and leaves a copy behind."""
    folder.mkdir()
    shutil.copyfile(file, folder / "store.db")
    before = tables(file)
    Store.open(folder).close()
    assert tables(folder / "store.db") == todays_tables()
    copies = list(folder.glob("store.db.version-*"))
    if before == todays_tables():
        assert copies == []
    else:
        assert [tables(copy) for copy in copies] == [before]
