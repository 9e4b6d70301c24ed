"""A runner on a clock that a test moves, with a store on disk, sources and sinks that obey."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Condition, Thread
from typing import Any

from attrs import define, field

from signals_core import (
    Collector,
    Metric,
    MetricDefinition,
    Request,
    Row,
    Runner,
    Sink,
    Source,
    WindowPolicy,
)
from signals_core.builtin.schedules import Interval
from signals_core.coverage import Coverage
from signals_core.keys import key_of
from signals_core.store import Run, Store
from signals_core.testing import SimulatedClock

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)

Answer = Callable[[Request], Iterable[Row]]


def at(text: str) -> datetime:
    """Read an instant, in UTC unless it says otherwise."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def one(request: Request) -> Iterator[Row]:
    """One row: how many hours into 2026 the window begins, or 1."""
    window = request.window
    yield {"value": (window.start - at("2026-01-01")) // HOUR if window else 1}


@define(eq=False)
class Base(Source):
    """A database that does as it is told: `answer` makes the rows.

    `down` is what `open` raises, `seen` the watermark or what it raises. It notes when it was
    asked for what, by the clock.
    """

    about: str = ""
    windowed: bool = True
    answer: Answer = field(init=False, default=one)
    down: Exception | None = field(init=False, default=None)
    seen: Callable[[], datetime | None] = field(init=False, default=lambda: None)
    clock: SimulatedClock | None = field(init=False, default=None)
    opened: list[datetime] = field(init=False, factory=list)
    asked: list[tuple[datetime, datetime | None]] = field(init=False, factory=list)
    closed: int = field(init=False, default=0)

    def parameters(self, query):
        return {"window_start", "window_end"} if self.windowed else set()

    def open(self):
        assert self.clock
        self.opened.append(self.clock.now())
        if self.down:
            raise self.down

    def close(self):
        self.closed += 1

    def watermark(self):
        return self.seen()

    def read(self, request):
        assert self.clock
        window = request.window
        self.asked.append((self.clock.now(), window.start if window else None))
        yield from self.answer(request)

    @property
    def times(self) -> list[datetime]:
        """When it was read."""
        return [moment for moment, _ in self.asked]

    @property
    def windows(self) -> list[datetime | None]:
        """Which windows were read, by their starts, in order."""
        return [start for _, start in self.asked]


@define(eq=False)
class Taker(Sink):
    """A receiver; `down` is what it answers with while it is down."""

    about: str = ""
    down: Exception | None = field(init=False, default=None)
    taken: list[Metric] = field(init=False, factory=list)

    def write(self, batch):
        if self.down:
            raise self.down
        self.taken += batch

    @property
    def values(self) -> list[Any]:
        """The values taken, in order."""
        return [metric.value for metric in self.taken]

    @property
    def starts(self) -> list[datetime]:
        """The buckets of what was taken, in order."""
        return [metric.grain_datetime for metric in self.taken]

    @property
    def newest(self) -> dict[str, Any]:
        """What a receiver holds that keeps the newest version of each uuid."""
        latest: dict[str, Metric] = {}
        for metric in self.taken:
            known = latest.get(metric.uuid)
            if known is None or metric.timestamp > known.timestamp:
                latest[metric.uuid] = metric
        return {uuid: metric.value for uuid, metric in latest.items()}


@define(eq=False)
class Gate:
    """Where a read waits until a test lets it go on, or it is cancelled."""

    clock: SimulatedClock
    is_open: bool = False
    inside: int = 0
    obeys: bool = True
    changed: Condition = field(factory=Condition)
    is_told: bool = False

    def answer(self, request: Request) -> Iterator[Row]:
        """Answer with one row, when the gate opens."""
        with request.on_cancel(self._told), self.changed:
            self.inside += 1
            try:
                while not self.is_open:
                    if self.is_told and self.obeys:
                        raise RuntimeError("canceling statement due to user request")
                    self.clock.wait(self.changed, None)
            finally:
                self.inside -= 1
        yield {"value": 1}

    def open(self) -> None:
        with self.changed:
            self.is_open = True
            self.changed.notify_all()

    def _told(self) -> None:
        with self.changed:
            self.is_told = True
            self.changed.notify_all()


class Rig:
    """A state directory, a clock, one source and one sink; runners come and go."""

    def __init__(self, folder: Path, start: str = "2026-01-01T00:00") -> None:
        self.folder = folder
        self.clock = SimulatedClock(at(start))
        self.source = self.base()
        self.sink = Taker()
        self.runner: Runner | None = None
        self.limit_bytes: int | None = None

    def base(self, about: str = "", **fields: Any) -> Base:
        """Make another source."""
        source = Base(about, **fields)
        source.clock = self.clock
        return source

    def windowed(self, name: str = "core.test", **fields: Any) -> Collector:
        """Make a windowed collector of hours."""
        policy = ("start", "grace", "catch_up", "revise")
        window = WindowPolicy(**{key: fields.pop(key) for key in policy if key in fields})
        given: dict[str, Any] = {"grain": "1h", "window": window}
        return self._collector(name, **given | fields)

    def snapshot(
        self, name: str = "core.level", every: timedelta = MINUTE, **fields: Any
    ) -> Collector:
        """Make a snapshot collector."""
        given: dict[str, Any] = {
            "schedule": Interval(every),
            "source": self.base(name, windowed=False),
        }
        return self._collector(name, **given | fields)

    def _collector(self, name: str, **fields: Any) -> Collector:
        given: dict[str, Any] = {
            "name": name,
            "metric": MetricDefinition(name, "COUNT"),
            "source": self.source,
            "sinks": {"lake": self.sink},
            "shared_sinks": ["lake"],
        }
        return Collector(**given | fields)

    def start(self, *collectors: Collector) -> Runner:
        """Start a runner of these collectors, and let it do what it has to do now."""
        self.runner = Runner(collectors, state_dir=self.folder, clock=self.clock)
        self.runner.start()
        self.clock.settle()
        return self.runner

    def stop(self, deadline: float = 0) -> None:
        """Stop it, as the end of a process does."""
        runner, self.runner = self.runner, None
        if runner is not None:
            self.call(lambda: (runner.stop(deadline), runner.close()))

    def advance(self, span: timedelta) -> None:
        """Let time pass, from minute to minute."""
        self.clock.hurry(span.total_seconds())

    def exactly(self, span: timedelta) -> None:
        """Let time pass, each thing happening at its instant: this is slow."""
        self.clock.advance(span.total_seconds())

    def until(self, text: str) -> None:
        """Let time pass until an instant, from minute to minute."""
        self.advance(at(text) - self.clock.now())

    @property
    def now(self) -> datetime:
        return self.clock.now()

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Look into the store, beside the runner."""
        with Store.look(self.folder) as store:
            yield store

    def coverage(self, collector: Collector) -> Coverage:
        with self.store() as store:
            coverage = store.coverage(key_of(collector))
        assert coverage is not None
        return coverage

    def runs(self, collector: Collector | None = None) -> list[Run]:
        """Return the runs, oldest first."""
        with self.store() as store:
            return store.runs(collector and collector.id, limit=10_000)[::-1]

    def outcomes(self, collector: Collector | None = None) -> list[str]:
        return [run.outcome for run in self.runs(collector)]

    def call(self, work: Callable[[], Any], within: timedelta = HOUR) -> Any:
        """Call something that waits for time to pass, and let it pass until it returns."""
        result: list[Any] = []

        def run() -> None:
            try:
                result.append(work())
            except Exception as error:  # noqa: BLE001 - raised where it was called for
                result.append(error)

        thread = Thread(target=run, name="signals test call", daemon=True)
        thread.start()
        until = self.now + within
        self.clock.settle()
        while not result and self.now < until:
            self.clock.advance(0.5)
        assert result, "it did not return"
        thread.join()
        if isinstance(result[0], Exception):
            raise result[0]
        return result[0]


def threads_left(ending: str) -> set[str]:
    """Return the threads of signals that run once those so called have had time to end."""
    for thread in threading.enumerate():
        if thread.name.startswith(ending):
            thread.join(10)
    return own_threads()


def own_threads() -> set[str]:
    """Return the names of the threads of signals that run."""
    return {each.name for each in threading.enumerate() if each.name.startswith("signals")}
