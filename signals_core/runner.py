"""The engine: runs collectors, whoever drives it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from threading import Event, Lock
from types import TracebackType
from typing import TYPE_CHECKING, Self

from attrs import evolve

from signals_core import collect, delivery
from signals_core.check import Check, check_query, check_sink
from signals_core.clock import Clock, SystemClock
from signals_core.collector import Collector, Reading, refuse_mistakes, refuse_unscheduled
from signals_core.connections import Connections
from signals_core.errors import ConfigError
from signals_core.plugin import Sink, Source
from signals_core.reload import Reloaded, Wired, compared, merged
from signals_core.tally import Tally
from signals_core.versions import Versions

if TYPE_CHECKING:
    from signals_core.backfill import Progress
    from signals_core.config import Loaded
    from signals_core.daemon import Daemon
    from signals_core.facts import Facts
    from signals_core.store import TakenUp


class Runner:
    """Runs collectors, from files by `Runner.load` or in code from `Collector` objects.

    It installs no signal handler, configures no logging and starts no thread until told to. Use
    it as a context manager: entering starts nothing, leaving stops and closes. `state_dir` is
    where a started runner keeps what it must not lose; `invoke` and `read` need none.

    Raises `ConfigError`, with all `problems`, for collectors that cannot be right.
    """

    def __init__(
        self,
        collectors: Iterable[Collector],
        *,
        state_dir: Path | str | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.collectors = tuple(collectors)
        self._state_dir = None if state_dir is None else Path(state_dir)
        self._clock = clock or SystemClock()
        self._daemon: Daemon | None = None
        refuse_mistakes(self.collectors)
        self._sources: Connections[Source] = Connections()
        self._sinks: Connections[Sink] = Connections()
        self._wired = self._wire(self.collectors)
        self._reloading = Lock()
        self._versions = Versions()
        self._tally = Tally()

    @classmethod
    def load(
        cls,
        paths: Sequence[Path | str] | Path | str = (),
        *,
        project: Path | str | None = None,
        state_dir: Path | str | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """Make a runner of the collectors in files and directories.

        Without `paths` it is the project found upward from the working directory; `project` names
        another `signals.yaml`. Raises `ConfigError` for any mistake, without touching a network.
        """
        from signals_core.config import load

        given = [paths] if isinstance(paths, (str, Path)) else paths
        loaded = load(
            [Path(path) for path in given], project=None if project is None else Path(project)
        )
        return cls.of(loaded, state_dir=state_dir, clock=clock)

    @classmethod
    def of(
        cls,
        loaded: Loaded,
        *,
        state_dir: Path | str | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """Make a runner of what was loaded. Raises `ConfigError` when it has a mistake."""
        if loaded.problems:
            raise ConfigError(loaded.problems)
        collectors = [each.collector for each in loaded.collectors]
        return cls(collectors, state_dir=state_dir, clock=clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop what was started, and close sources and sinks; a later call opens them again."""
        try:
            self.stop()
        finally:
            self._sources.close()
            self._sinks.close()

    def start(self, *, wait_lock: float = 0, on_schedule: bool = True) -> None:
        """Begin to run collectors as they fall due and to deliver, in threads; returns at once.

        Waits up to `wait_lock` seconds for another process to let go of the state directory. With
        `on_schedule` False nothing is read but what `backfill` is called for, from any thread.
        Raises `StoreError` when it cannot be used, and `ConfigError` for a snapshot collector
        without a schedule.
        """
        if self._daemon is not None:
            return
        if on_schedule:
            refuse_unscheduled(self.collectors)
        self._daemon = self._opened_daemon(self.collectors, wait_lock, on_schedule=on_schedule)
        try:
            self._daemon.start()
        except BaseException:
            self.stop(0)
            raise

    def stop(self, deadline: float = 30.0) -> None:
        """Let running reads finish for `deadline` seconds, then cancel them at their sources.

        Returns when no thread is left. What is pending stays in the store. Does nothing when the
        runner was not started. Raises `StoreError` where the store's file was deleted or replaced.
        """
        with self._reloading:
            daemon, self._daemon = self._daemon, None
        if daemon is not None:
            daemon.stop(deadline)

    def run(self, until: Event, *, deadline: float = 30.0, wait_lock: float = 0) -> None:
        """Start, block until `until` is set, and stop. Raises `StoreError` as `stop` does."""
        self.start(wait_lock=wait_lock)
        try:
            while not until.wait(1):
                self.check_place()
        finally:
            self.stop(deadline)

    def note_configuration(self, taken: TakenUp) -> None:
        """Have a started runner keep how its configuration was read. Raises `StoreError`."""
        daemon = self._daemon
        if daemon is not None:
            daemon.note_configuration(taken)

    def facts(self) -> Facts | None:
        """Return what a started runner knows of itself; None before `start` and after `stop`."""
        daemon = self._daemon
        return None if daemon is None else daemon.facts()

    def try_store(self) -> None:
        """Have a started runner write to its store, changing nothing. Raises `StoreError`."""
        daemon = self._daemon
        if daemon is not None:
            daemon.try_store()

    def check_place(self) -> None:
        """Raise `StoreError` where the store's file was deleted or replaced."""
        daemon = self._daemon
        if daemon is not None:
            daemon.check_place()

    def reload(self, collectors: Iterable[Collector]) -> Reloaded:
        """Run these collectors from now on, and return what that has changed.

        They are told apart by their ids. One that is as it was goes on untouched; one that has
        changed runs in its new form from its next run on; a new one begins as at start; one that is
        gone ends with the run that is under way, and what is pending for its sinks is delivered
        where they are still configured. Connections that nobody needs any more are closed, and one
        whose secret is no longer what it was opened with is opened anew.

        Raises `ConfigError` for collectors that cannot be right, and `StoreError`: then nothing has
        changed.
        """
        with self._reloading:
            wanted = tuple(merged(self.collectors, collectors))
            refuse_mistakes(wanted)
            daemon = self._daemon
            if daemon is not None:
                refuse_unscheduled(wanted)
            reloaded = compared(self.collectors, wanted)
            wired = self._wire(wanted)
            try:
                if daemon is not None:
                    unchanged = {wired[name].collector.id for name in reloaded.unchanged}
                    daemon.reload(list(wired.values()), unchanged)
                self.collectors, self._wired = wanted, wired
            finally:
                self._retain()
            refreshed = [each.refresh() for each in (*self._sources, *self._sinks)]
            return evolve(reloaded, reopened=sum(refreshed))

    def backfill(
        self,
        name: str,
        start: datetime,
        end: datetime | None = None,
        *,
        sinks: Sequence[str] | None = None,
        failed_only: bool = False,
        told: Callable[[Progress], None] = lambda _: None,
    ) -> Progress:
        """Read the whole windows of `[start, end)`, oldest first, and deliver what changed.

        `end` is now by default. `sinks`, by the collector's names or the store's, get the whole
        set even where nothing changed; `failed_only` takes the windows that failed. `told` is
        called as it goes on. A backfill that was ended goes on where it was when it is asked for
        again.

        A runner that was started does it beside its schedules, goes on when the source is back,
        and returns when everything is read, or when it is stopped. One that was not started
        delivers before it returns, and raises `Unavailable` when the source cannot be reached or a
        sink does not take it: then it stays pending.

        Raises `ValueError` when there is no whole window in the span, and `LookupError` for a
        sink that the collector does not have.
        """
        from signals_core.backfill import Span
        from signals_core.keys import sink_named

        collector = self[name]
        grain = collector.buckets
        if grain is None or collector.window is None:
            raise ValueError(f"{name} has no windows: what a snapshot missed cannot be made up")
        now = self._clock.now()
        names = None if sinks is None else [sink_named(collector, sink) for sink in sinks]
        span = Span.whole(
            collector.id, grain, start, min(end or now, now), names, failed_only=failed_only
        )
        if self._daemon is not None:
            return self._daemon.backfill(span, told)
        daemon = self._opened_daemon([collector], 0, on_schedule=False)
        try:
            daemon.start()
            return daemon.backfill(span, told)
        finally:
            daemon.stop(0)

    def _opened_daemon(
        self, collectors: Iterable[Collector], wait_lock: float, *, on_schedule: bool
    ) -> Daemon:
        from signals_core.daemon import Daemon

        if self._state_dir is None:
            raise ValueError("a runner that is started needs a state_dir")
        daemon = Daemon.open(
            self._state_dir, self._clock, self._versions, self._tally, wait_lock,
            on_schedule=on_schedule,
        )  # fmt: skip
        try:
            daemon.add([self._wired[each.name] for each in collectors])
        except BaseException:
            daemon.close()
            raise
        return daemon

    def __getitem__(self, name: str) -> Collector:
        """Return the collector `name`. Raises `LookupError` when there is none."""
        for collector in self.collectors:
            if collector.name == name:
                return collector
        raise LookupError(f"there is no collector {name!r}")

    def invoke(self, name: str, at: datetime | None = None) -> Reading:
        """Read once, now, and deliver to the collector's sinks.

        A windowed collector reads the latest due window, or with `at` the window that holds that
        moment. For a snapshot collector with a grain `at` picks the bucket, and nothing is
        delivered, since what is read is the present. May be called from several threads.

        Returns the reading. Raises what the source raised, `RowError` (a `ValueError`) for rows
        that make no metrics, and `DeliveryError`, which has the reading, when a sink failed.
        """
        reading = self.read(name, at)
        collector = self[name]
        if at is None or collector.window is not None:
            delivery.deliver(reading, self._wired[collector.name].sinks)
        return reading

    def read(self, name: str, at: datetime | None = None) -> Reading:
        """Read once, as `invoke` does, and deliver nothing."""
        collector = self[name]
        connection = self._wired[collector.name].source
        window = collect.window_of(collector, connection, self._clock, at)
        source = connection.acquire()
        try:
            began = self._clock.now()
            request = collect.request_for(collector, window, self._clock)
            bucket = window or collect.bucket_of(collector, at or began)
            timestamp = self._version(collector.id, began)
        except BaseException:
            connection.release()
            raise
        return collect.supervised(
            lambda: collect.read(collector, source, request, timestamp, bucket),
            request,
            connection,
        )

    def check(self) -> Iterator[Check]:
        """Connect to every source and sink and check what can be without reading data."""
        for collector in self.collectors:
            yield check_query(collector, self._wired[collector.name].source)
        seen: set[int] = set()
        for collector in self.collectors:
            for name, connection in self._wired[collector.name].sinks.items():
                if id(connection) not in seen:
                    seen.add(id(connection))
                    yield check_sink(name, connection)

    def _wire(self, collectors: Iterable[Collector]) -> dict[str, Wired]:
        """Return collectors by name, with their connections: equal plugins share one."""
        return {
            each.name: Wired(
                each,
                self._sources.add(each.source, each.source.max_connections),
                {name: self._sinks.add(sink, 1) for name, sink in each.sinks.items()},
            )
            for each in collectors
        }

    def _retain(self) -> None:
        """Let go of the connections that no collector needs."""
        wired = self._wired.values()
        self._sources.retain([each.source for each in wired])
        self._sinks.retain([sink for each in wired for sink in each.sinks.values()])

    def _version(self, collector_id: str, began: datetime) -> datetime:
        """Return a version that is later than any in the state directory, where there is one."""
        from signals_core.store import Store, StoreError

        if self._daemon is None and self._state_dir is not None:
            with suppress(StoreError), Store.look(self._state_dir) as store:
                self._versions.heard(collector_id, store.last_version(collector_id))
        return self._versions.next(collector_id, began)
