"""No room: on the disk, or in an outbox. It is waited for, said once, and then it goes on."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from parts.running import HOUR, MINUTE, Rig, Taker, at
from signals_core import Runner, Unavailable


def limit_pages(rig: Rig, pages: int) -> None:
    """Let the store's file have no more pages than so many beside those it has."""
    database = rig.runner._daemon._store._database
    with database.transaction() as connection:
        (count,) = connection.execute("PRAGMA page_count").fetchone()
    with database._lock:
        database._connection.execute(f"PRAGMA max_page_count = {count + pages}")


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.message for each in caplog.records if each.levelno >= logging.WARNING]


def test_a_full_disk(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """While the disk is full nothing is lost or hurried; with room all is made up by itself."""
    rows = [{"value": n, "group": f"{n:0500}"} for n in range(200)]
    rig.source.answer = lambda request: rows
    rig.start(rig.windowed(start=at("2025-12-31T20:00")), rig.snapshot(every=HOUR))
    rig.advance(2 * MINUTE)
    limit_pages(rig, 0)
    asked = len(rig.source.asked)
    rig.advance(3 * HOUR)
    assert 3 <= len(rig.source.asked) - asked <= 3 * 60 * 6
    assert len(errors(caplog)) <= 3 and "no room to write" in errors(caplog)[0]
    limit_pages(rig, 100_000)
    rig.advance(2 * MINUTE)
    hours = [start for start in rig.sink.starts if start.minute == 0]
    wanted = {at("2025-12-31T20:00") + n * HOUR for n in range(7)}
    assert wanted <= set(hours)
    assert len({metric.uuid for metric in rig.sink.taken if metric.grain}) == 7 * 200


def test_a_full_outbox_pauses_windows(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """When an outbox is full windowed collectors pause, and make up what waited; snapshots go on.

    Of a snapshot the copy that is not kept is counted and listed.
    """
    caplog.set_level(logging.INFO)
    lake, swamp = rig.sink, Taker("swamp")
    both = {"sinks": {"lake": lake, "swamp": swamp}, "shared_sinks": ["lake", "swamp"]}
    windowed = rig.windowed(start=at("2026-01-01"), **both)
    collectors = [windowed, rig.snapshot(every=HOUR, **both)]
    rig.runner = Runner(collectors, state_dir=rig.folder, clock=rig.clock)
    rig.runner.start()
    rig.runner._daemon._store._limit_bytes = 2000
    swamp.down = Unavailable("shut")
    rig.advance(12 * HOUR)
    waited = [start for start in rig.source.windows if start >= at("2026-01-01")]
    assert 1 <= len(waited) <= 8
    assert len([each for each in lake.taken if each.grain is None]) == 13
    with rig.store() as store:
        line = next(line for line in store.outbox() if line.sink == "swamp")
        assert line.dropped == len(store.dropped("swamp")) > 0
    assert len([line for line in caplog.messages if "its outbox is full" in line]) == 1
    swamp.down = None
    rig.advance(5 * MINUTE)
    for sink in (lake, swamp):
        starts = [each.grain_datetime for each in sink.taken if each.grain]
        assert starts == [at("2026-01-01") + n * HOUR for n in range(12)]
    assert "sink swamp: its outbox has room again" in caplog.messages


def test_a_backfill_waits_for_room(rig: Rig) -> None:
    """A backfill too waits while an outbox is full, and then goes on."""
    rig.until("2026-01-02T00:30")
    rig.start(rig.windowed(start=at("2026-01-01T23:00")))
    rig.advance(MINUTE)
    rig.runner._daemon._store._limit_bytes = 2000
    rig.sink.down = Unavailable("shut")
    with rig.store() as store:
        store.request("backfill", _arguments())
    rig.advance(20 * MINUTE)
    assert len(rig.source.asked) < 12
    rig.sink.down = None
    rig.advance(5 * MINUTE)
    assert rig.sink.starts[1:21] == [at("2026-01-01") + n * HOUR for n in range(20)]


def _arguments() -> dict:
    from signals_core.backfill import Span

    return Span("core.test", at("2026-01-01"), at("2026-01-01T20:00")).arguments


def test_one_of_two_sinks_down_for_an_hour(rig: Rig) -> None:
    """The other sink gets everything on time; afterwards both hold the same versions."""
    lake, swamp = rig.sink, Taker("swamp")
    both = {"sinks": {"lake": lake, "swamp": swamp}, "shared_sinks": ["lake", "swamp"]}
    late: list[timedelta] = []

    class OnTime(Taker):
        def write(self, batch):
            late.extend(rig.now - each.timestamp for each in batch)
            super().write(batch)

    both["sinks"]["lake"] = lake = OnTime()
    rig.start(
        rig.windowed(grain="5m", start=at("2026-01-01"), **both),
        rig.snapshot(every=MINUTE, **both),
    )
    rig.advance(10 * MINUTE)
    swamp.down = Unavailable("shut")
    rig.advance(HOUR)
    assert max(late) == timedelta(0) and len(lake.taken) > 80 and len(swamp.taken) < 20
    swamp.down = None
    rig.advance(2 * MINUTE)
    assert {(each.uuid, each.timestamp): each.value for each in lake.taken} == {
        (each.uuid, each.timestamp): each.value for each in swamp.taken
    }
    assert len(swamp.taken) == len(lake.taken) == len({each.uuid for each in lake.taken})


def test_an_unusable_store_is_no_hot_loop(rig: Rig) -> None:
    """A store that another process meddles with is waited for as well."""
    rig.start(rig.windowed(start=at("2026-01-01")))
    rig.advance(2 * HOUR)
    asked = len(rig.source.asked)
    database = rig.runner._daemon._store._database
    with database.transaction() as connection:
        connection.execute("UPDATE coverage SET start = start - 1")
    rig.advance(3 * HOUR)
    assert len(rig.source.asked) - asked <= 200
