"""The daemon: what a started `Runner` is made of.

A timer fires as agendas say, a lane for each source runs what has come, a courier for each sink
delivers, and the store is between them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from threading import Condition
from typing import Self

from signals_core.agenda import Snapshots, Windows
from signals_core.attempts import Agenda, Attempts, Member
from signals_core.backfill import Progress, Span, work_off
from signals_core.chores import perform
from signals_core.clock import Clock
from signals_core.collector import Collector
from signals_core.connections import Connection
from signals_core.courier import Couriers
from signals_core.coverage import Coverage
from signals_core.errors import SignalsError, reason_of
from signals_core.lanes import Lane
from signals_core.plugin import Sink, Source
from signals_core.store import CoverageKey, Outcome, Requested, Store, StoreFull
from signals_core.timer import Timer
from signals_core.window import Window

_log = logging.getLogger("signals")

_TICK = timedelta(microseconds=1)
_WATCH = timedelta(seconds=1)
_PRUNE = timedelta(hours=1)
_OBEY_SECONDS = 10.0


class Daemon:
    """Runs collectors as they fall due and has delivered what they read."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._timer = Timer(clock)
        self._couriers = Couriers(store, clock)
        self._attempts = Attempts(store, clock, self._couriers.wake)
        self._lanes: dict[int, Lane] = {}
        self._chores = Lane("chores", 1)
        self._patience = Lane("backfill", 1)
        self._backfills: set[int] = set()
        self._members: dict[str, Member] = {}
        self._last_runs = store.last_runs()
        self._idle = Condition()

    @classmethod
    def open(cls, state_dir: Path, clock: Clock, wait_lock: float) -> Self:
        """Take hold of the state directory. Raises `StoreError`."""
        return cls(Store.open(state_dir, wait_seconds=wait_lock), clock)

    def add(
        self,
        collector: Collector,
        source: Connection[Source],
        sinks: Mapping[str, Connection[Sink]],
    ) -> None:
        """Take a collector up: its coverage and versions go on where they were."""
        key = None if collector.window is None else key_of(collector)
        names = {sink_name(collector, name): sink for name, sink in sinks.items()}
        self._couriers.add(names)
        member = Member(
            collector,
            self._agenda(collector, key),
            source,
            self._lane_of(source),
            tuple(names),
            key,
            self._store.last_version(collector.id),
        )
        self._members[collector.id] = member
        self._timer.add(
            collector.id,
            lambda now: self._next_run(member, now),
            lambda _tick: self._fire(member),
        )

    def start(self) -> None:
        """Start the threads."""
        self.start_delivery()
        self._timer.add("late reads", _every(_WATCH), lambda _: self._attempts.cancel_late())
        self._timer.add("old readings", _every(_PRUNE), lambda _: self._chores.submit(self._prune))
        self._timer.add("requests", _every(_WATCH), lambda _: self._chores.submit(self._serve))
        self._timer.start()

    def stop(self, seconds: float) -> None:
        """Let running reads finish for so many seconds, then cancel them at their sources."""
        deadline = self._clock.monotonic() + seconds
        self._attempts.stopping = True
        self._timer.stop()
        lanes = [*self._lanes.values(), self._chores, self._patience]
        for lane in lanes:
            lane.close()
        finished = [lane.join(deadline - self._clock.monotonic()) for lane in lanes]
        if not all(finished):
            self._attempts.cancel("signals is stopping")
            for lane in lanes:
                lane.join(_OBEY_SECONDS)
        self._couriers.stop(max(deadline - self._clock.monotonic(), _OBEY_SECONDS))
        self._store.close()

    def backfill(
        self,
        span: Span,
        progress: Progress | None = None,
        told: Callable[[Progress], None] = lambda _: None,
    ) -> Progress:
        """Read past windows now, oldest first; what falls due meanwhile comes before them.

        `told` is called after each window. With a `progress` of earlier it goes on behind it.
        Returns when all are read, or when the daemon is told to stop. Raises `LookupError`.
        """
        member = self._members.get(span.collector)
        if member is None or not isinstance(member.agenda, Windows):
            raise LookupError(f"there is no windowed collector with the id {span.collector!r}")
        windows = list(span.windows(member.agenda.grain, member.agenda.coverage))
        begun = progress or Progress(len(windows))
        return work_off(windows, begun, lambda each: self._past(member, each, span.sinks), told)

    def is_delivered(self, collector_id: str) -> bool | None:
        """Whether all that is pending for a collector's sinks was taken; None while unknown.

        False when a sink does not take it.
        """
        names = self._members[collector_id].sinks
        lines = [line for line in self._store.outbox() if line.sink in names and line.metrics]
        if not lines:
            return True
        return False if any(line.failing_since or line.suspended_since for line in lines) else None

    def _past(
        self, member: Member, window: Window, resend: Collection[str] | None
    ) -> Outcome | None:
        """Run one past window when the member is free; None when the daemon is to stop."""
        outcomes: list[Outcome] = []

        def job() -> None:
            try:
                outcomes.append(self._attempts.past(member, window, resend))
            finally:
                self._release(member)

        if not self._claim(member):
            return None
        member.lane.submit(job, urgent=False)
        with self._idle:
            while not outcomes and not self._attempts.stopping:
                self._clock.wait(self._idle, _WATCH.total_seconds())
        return outcomes[0] if outcomes else None

    def _claim(self, member: Member) -> bool:
        """Wait until no run of the member is under way, and take its turn."""
        while not self._attempts.stopping:
            with member.lock:
                if not member.busy:
                    member.busy = True
                    return True
            with self._idle:
                if member.busy:
                    self._clock.wait(self._idle, _WATCH.total_seconds())
        return False

    def start_delivery(self) -> None:
        """Start only what delivers."""
        self._store.set_sinks(self._couriers.names)
        for line in self._store.outbox():
            if line.orphaned and line.metrics:
                _log.warning(
                    "the sink %s is no longer configured and has %d metrics pending (they go out "
                    "when the name returns, or end by `signals outbox drop`)",
                    line.sink, line.metrics,
                )  # fmt: skip
        self._couriers.start()

    def _lane_of(self, source: Connection[Source]) -> Lane:
        name = type(source.plugin).__name__
        return self._lanes.setdefault(id(source), Lane(name, source.plugin.max_connections))

    def _agenda(self, collector: Collector, key: CoverageKey | None) -> Agenda:
        now = self._clock.now()
        if key is not None:
            return Windows.starting(collector, self._coverage(collector, key, now), now)
        last = self._last_runs.get(collector.id)
        return Snapshots.starting(collector, last.started if last else None, now)

    def _coverage(self, collector: Collector, key: CoverageKey, now: datetime) -> Coverage:
        before = self._store.coverage(key)
        policy, grain = collector.window, collector.buckets
        assert policy is not None
        assert grain is not None
        known = before
        if known is None:
            latest = grain.window(grain.window(now - policy.grace).start - _TICK)
            known = Coverage(policy.start or latest.start)
        after = known.with_policy(policy, now)
        if after != before:
            self._store.save_coverage(key, before, after)
        return after

    def _next_run(self, member: Member, now: datetime) -> datetime | None:
        with member.lock:
            return member.agenda.next_tick if member.busy else member.agenda.next_run(now)

    def _fire(self, member: Member) -> None:
        now = self._clock.now()
        with member.lock:
            if member.busy:
                if isinstance(member.agenda, Snapshots):
                    member.agenda.drop(now)
                else:
                    member.agenda.begin(now)
                return
            member.busy = True
        member.lane.submit(lambda: self._run(member))

    def _run(self, member: Member) -> None:
        try:
            if not self._attempts.stopping:
                self._attempts.scheduled(member)
        finally:
            self._release(member)

    def _release(self, member: Member) -> None:
        with self._idle:
            member.busy = False
            self._idle.notify_all()
        self._timer.wake(member.collector.id)

    def _serve(self) -> None:
        """Carry out what other processes have asked for."""
        for request in self._store.requests():
            if request.kind == "backfill":
                self._serve_backfill(request)
                continue
            try:
                done = perform(self._store, request.kind, request.arguments, self._clock.now())
            except (SignalsError, LookupError, ValueError) as error:
                self._store.finish_request(request.id, reason_of(error))
            else:
                self._store.finish_request(request.id, "done", done)
                self._couriers.wake(self._couriers.names)

    def _serve_backfill(self, request: Requested) -> None:
        if request.id not in self._backfills:
            self._backfills.add(request.id)
            self._patience.submit(lambda: self._carry_out(request))

    def _carry_out(self, request: Requested) -> None:
        try:
            self.carry_on(request)
        except (SignalsError, LookupError, ValueError) as error:
            self._store.finish_request(request.id, reason_of(error))
        finally:
            self._backfills.discard(request.id)

    def asked(self, span: Span) -> Requested:
        """Return the request for a span that is not finished, or leave one."""
        for request in self._store.requests():
            if request.kind == "backfill" and request.arguments == span.arguments:
                return request
        self._store.request("backfill", span.arguments)
        return self._store.requests()[-1]

    def carry_on(
        self, request: Requested, told: Callable[[Progress], None] = lambda _: None
    ) -> Progress:
        """Work off a request for a backfill from where it is, keeping how far it is."""

        def keep(progress: Progress) -> None:
            self._store.progress_request(request.id, progress.facts)
            told(progress)

        earlier = Progress.of(request.progress) if request.progress else None
        progress = self.backfill(Span.of(request.arguments), earlier, keep)
        if progress.done == progress.total:
            self._store.finish_request(request.id, "done", progress.facts)
        return progress

    def wait_until_delivered(self, collector_id: str) -> bool:
        """Wait until a collector's sinks have taken everything; False when one does not."""
        with self._idle:
            while (state := self.is_delivered(collector_id)) is None:
                self._clock.wait(self._idle, _WATCH.total_seconds() / 10)
        return state

    def _prune(self) -> None:
        try:
            self._store.prune(self._clock.now())
        except StoreFull as error:
            _log.error("old readings could not be cleared: %s", reason_of(error))


def key_of(collector: Collector) -> CoverageKey:
    """Return the key of a windowed collector's coverage."""
    grain = collector.buckets
    assert grain is not None
    return collector.id, grain.text, grain.timezone if grain.is_calendar else ""


def sink_name(collector: Collector, key: str) -> str:
    """Return the name under which the store knows a collector's sink."""
    return key if key in collector.shared_sinks else f"{collector.id}/{key}"


def _every(period: timedelta) -> Callable[[datetime], datetime]:
    """Return when a chore comes next: so long after it was asked."""
    return lambda now: now + period
