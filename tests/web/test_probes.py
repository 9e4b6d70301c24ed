"""What probes are told."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from parts.daemon import until
from parts.running import HOUR, MINUTE, Rig, at
from signals_core import Runner
from signals_core.clock import SystemClock
from signals_core.web.app import Request, Response
from signals_core.web.probes import LONGEST_PASS, Probes


class MovedClock(SystemClock):
    """The machine's clock, set forward by `seconds`."""

    seconds = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.seconds


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "state")
    yield made
    made.stop()


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def told(response: Response) -> tuple[int, str]:
    assert isinstance(response.body, str)
    return response.status, response.body


def alive(probes: Probes) -> tuple[int, str]:
    return told(probes.alive(Request("/healthz")))


def ready(probes: Probes) -> tuple[int, str]:
    return told(probes.ready(Request("/readyz")))


def test_before_and_after(rig: Rig) -> None:
    """A runner that is not started, or stops, is alive, so that nobody kills it, and not ready."""
    runner = Runner([rig.snapshot()], state_dir=rig.folder, clock=rig.clock)
    probes = Probes(runner, rig.clock)
    idle = (200, "ok: not started yet, or stopping\n")
    waits = (503, "not started: it waits for its state directory, or is stopping\n")
    assert (alive(probes), ready(probes)) == (idle, waits)
    runner.start()
    assert (alive(probes), ready(probes)) == ((200, "ok\n"), (200, "ok\n"))
    rig.call(lambda: (runner.stop(0), runner.close()))
    assert (alive(probes), ready(probes)) == (idle, waits)


def test_timer_that_stands(tmp_path: Path, rig: Rig) -> None:
    """It is dead when the timer has not passed for a minute, whatever the wall clock says."""
    clock, asked, gate = MovedClock(), Event(), Event()

    def stuck(now: datetime) -> None:
        asked.set()
        gate.wait(60)

    with Runner([rig.snapshot()], state_dir=tmp_path / "other", clock=clock) as runner:
        probes = Probes(runner, clock)
        runner.start()
        timer = runner._daemon._timer
        timer.add("stuck", stuck, lambda _: None)
        try:
            assert asked.wait(60)
            clock.seconds = LONGEST_PASS - 10
            assert alive(probes) == (200, "ok\n")
            clock.seconds = LONGEST_PASS + 1
            status, body = alive(probes)
            assert status == 503
            assert body.startswith("the timer has not passed for 6")
        finally:
            gate.set()
        until(lambda: alive(probes)[0] == 200)


def test_disk_that_is_full(rig: Rig) -> None:
    """It is not ready while nothing can be written, says why, and is once there is room."""
    runner = rig.start(rig.snapshot())
    probes = Probes(runner, rig.clock)
    log = rig.folder / "store.db-wal"
    with file_limit(log.stat().st_size):
        status, body = ready(probes)
        assert status == 503
        assert body.startswith(f"no room to write {rig.folder / 'store.db'}: ")
        facts = runner.facts()
        assert facts is not None
        assert facts.store_trouble is not None
    assert ready(probes)[0] == 503
    rig.advance(MINUTE)
    assert ready(probes) == (200, "ok\n")


def test_disk_with_little_room(rig: Rig) -> None:
    """It is not ready while a reading finds no room, though there is some for what is tried."""
    rig.source.answer = lambda request: [{"value": n, "group": f"{n:0500}"} for n in range(200)]
    runner = rig.start(rig.windowed(start=at("2025-12-31T20:00")))
    probes = Probes(runner, rig.clock)
    rig.advance(2 * MINUTE)
    database = runner._daemon._store._database

    def limit_pages(pages: int) -> None:
        with database._lock:
            database._connection.execute(f"PRAGMA max_page_count = {pages}")

    limit_pages(1)  # which it takes to mean: no more than there are
    rig.advance(2 * HOUR)
    assert ready(probes)[1].startswith("no room to write")
    assert ready(probes)[0] == 503
    limit_pages(100_000)
    rig.advance(2 * MINUTE)
    assert ready(probes) == (200, "ok\n")


def test_tries_now_and_then(rig: Rig) -> None:
    """However often it is asked, the store is written once in five seconds."""
    runner = rig.start(rig.snapshot())
    probes = Probes(runner, rig.clock)

    def commits() -> int:
        facts = runner.facts()
        assert facts is not None
        return facts.commits.counts[-1]

    rig.exactly(timedelta(seconds=5))  # its first run is over
    before = commits()
    assert [ready(probes)[0] for _ in range(20)] == [200] * 20
    assert commits() == before + 1
    rig.exactly(timedelta(seconds=6))
    ready(probes)
    assert commits() == before + 2
