"""Attempts: one run of a collector in the daemon, from the watermark to the commit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Lock

from attrs import define, evolve, field

from signals_core import collect
from signals_core.agenda import Snapshots, Windows
from signals_core.clock import Clock
from signals_core.collector import Collector, Reading
from signals_core.connections import Connection
from signals_core.coverage import Coverage
from signals_core.errors import Cancelled, RetryAfter, Unavailable, reason_of
from signals_core.lanes import Lane
from signals_core.plugin import Request, Source
from signals_core.store import Committed, CoverageKey, Outcome, Run, Store, StoreFull
from signals_core.window import Window

_log = logging.getLogger("signals")

_TICK = timedelta(microseconds=1)
_WAIT_FOR_ROOM = timedelta(seconds=10)
_LATE_SECONDS = 2.0
_SUSPICIOUS_LAG = timedelta(minutes=10)

Agenda = Snapshots | Windows


@define(eq=False)
class Member:
    """One collector in the daemon: its agenda, where it queues, and whether a run is under way.

    `lock` guards the agenda and `busy`. `version` is that of its last reading.
    """

    collector: Collector
    agenda: Agenda
    source: Connection[Source]
    lane: Lane
    sinks: tuple[str, ...]
    key: CoverageKey | None
    version: datetime | None
    busy: bool = False
    said_late: bool = False
    lock: Lock = field(factory=Lock)

    @property
    def name(self) -> str:
        """The collector's name, for a log line."""
        return self.collector.name


class Attempts:
    """Runs members: each reading is one transaction with its coverage and what sinks will get."""

    def __init__(
        self, store: Store, clock: Clock, on_pending: Callable[[Iterable[str]], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_pending = on_pending
        self._reading: dict[Request, float] = {}
        self._lock = Lock()
        self.stopping = False

    def scheduled(self, member: Member) -> None:
        """Run a member as its agenda says: one reading at the most."""
        with member.lock:
            member.agenda.begin(self._clock.now())
        with self._source_of(member) as source:
            if source is None:
                return
            window, seen = None, self._clock.now()
            if isinstance(member.agenda, Windows):
                seen = self._seen(member, source)
                window = self._choose(member, member.agenda, seen)
                if window is None:
                    return
            self._read(member, source, window, seen, None)

    def past(self, member: Member, window: Window, resend: Collection[str] | None) -> Outcome:
        """Read a past window of a member, due at whatever level; `skipped` when it is not over."""
        outcome: Outcome = "unreachable"
        with self._source_of(member) as source:
            if source is not None:
                seen = self._seen(member, source)
                is_over = window.end <= seen
                outcome = self._read(member, source, window, seen, resend) if is_over else "skipped"
        return outcome

    def cancel(self, reason: str) -> None:
        """Cancel every running read at its source."""
        with self._lock:
            running = tuple(self._reading)
        for request in running:
            request.cancel(reason)

    def cancel_late(self) -> None:
        """Cancel the reads that are past their timeout and did not end by themselves."""
        now = self._clock.monotonic()
        with self._lock:
            late = [request for request, until in self._reading.items() if until < now]
        for request in late:
            request.cancel("the read took longer than its timeout, and was cancelled")

    @contextmanager
    def _source_of(self, member: Member) -> Iterator[Source | None]:
        """Hold the source for one run; None, all being noted, when it cannot be reached."""
        started = self._clock.now()
        try:
            source = member.source.acquire()
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            self._unreachable(member, self._run_of(member, None, started), error)
            yield None
            return
        broken = False
        try:
            yield source
        except _Broken as broke:
            broken = not isinstance(broke.cause, RetryAfter)
            self._unreachable(member, broke.run or self._run_of(member, None, started), broke.cause)
        finally:
            member.source.release(broken=broken)

    def _seen(self, member: Member, source: Source) -> datetime:
        """Return W: the smaller of our clock and the source's watermark."""
        now = self._clock.now()
        try:
            watermark = source.watermark()
        except Exception as error:
            raise _Broken(error) from error
        seen = now if watermark is None else min(now, watermark)
        _tell_lag(member, now - seen)
        return seen

    def _choose(self, member: Member, agenda: Windows, seen: datetime) -> Window | None:
        now = self._clock.now()
        with member.lock:
            if excess := agenda.coverage.excess(agenda.grain, agenda.policy, seen):
                self._advance(member, agenda, agenda.coverage.after_skipping(*excess))
                _log.warning(
                    "%s: skipped the windows from %s to %s, as catch_up says", member.name, *excess
                )
            if any(self._store.is_full(sink) for sink in member.sinks):
                agenda.not_before = now + _WAIT_FOR_ROOM
                return None
            return agenda.choose(seen, now)

    def _read(
        self,
        member: Member,
        source: Source,
        window: Window | None,
        seen: datetime,
        resend: Collection[str] | None,
    ) -> Outcome:
        collector, began = member.collector, self._clock.now()
        grain = collector.buckets
        bucket = window or (grain.window(began) if grain else None)
        version = began if member.version is None else max(began, member.version + _TICK)
        request = collect.request_for(collector, window, self._clock)
        run = self._run_of(member, request, began)
        try:
            with self._watched(request):
                reading = collect.read(collector, source, request, version, bucket)
        except (Unavailable, RetryAfter) as error:
            raise _Broken(error, run) from error
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            return self._failed(member, run, error)
        return self._commit(member, reading, run, seen, resend)

    @contextmanager
    def _watched(self, request: Request) -> Iterator[None]:
        with self._lock:
            self._reading[request] = self._clock.monotonic() + request.timeout + _LATE_SECONDS
        try:
            yield
        finally:
            with self._lock:
                self._reading.pop(request)

    def _commit(
        self,
        member: Member,
        reading: Reading,
        run: Run,
        seen: datetime,
        resend: Collection[str] | None,
    ) -> Outcome:
        agenda, now = member.agenda, self._clock.now()
        done = evolve(
            self._ended(run, "read", "; ".join(reading.warnings) or None),
            rows=reading.rows,
            metrics=len(reading.metrics),
        )
        with member.lock:
            coverage = None
            if isinstance(agenda, Windows) and run.window is not None and member.key is not None:
                after = agenda.coverage.after_reading(run.window, agenda.policy, seen)
                coverage = (member.key, agenda.coverage, after)
            try:
                committed = self._store.commit(
                    reading, run=done, sinks=member.sinks, coverage=coverage, resend=resend
                )
            except StoreFull as error:
                _no_room(member, now, error)
                return "failed"
            member.version = reading.timestamp
            if isinstance(agenda, Snapshots):
                agenda.ended(now, failed=False)
            else:
                agenda.unreachable.worked()
                agenda.coverage = coverage[2] if coverage else agenda.coverage
        _tell(member, reading, committed)
        self._on_pending(committed.sent)
        return "unchanged" if committed.unchanged else "read"

    def _failed(self, member: Member, run: Run, error: Exception) -> Outcome:
        agenda, now, reason = member.agenda, self._clock.now(), reason_of(error)
        if self.stopping and isinstance(error, Cancelled):
            self._record(self._ended(run, "cancelled", reason))
            return "cancelled"
        self._record(self._ended(run, "failed", reason))
        _log.error("%s: %s", member.name, reason, exc_info=_traced(error))
        with member.lock:
            if isinstance(agenda, Snapshots):
                agenda.ended(now, failed=True)
            elif run.window is not None:
                after = agenda.coverage.after_failure(run.window, reason, now)
                self._advance(member, agenda, after)
        return "failed"

    def _unreachable(self, member: Member, run: Run, error: Exception) -> None:
        """The pass ends, and is tried again when the source may be back."""
        now, reason = self._clock.now(), reason_of(error)
        self._record(self._ended(run, "unreachable", reason))
        pause = timedelta(seconds=error.seconds) if isinstance(error, RetryAfter) else None
        with member.lock:
            is_news = not member.agenda.unreachable.attempts
            if isinstance(member.agenda, Snapshots):
                member.agenda.ended(now, failed=True, pause=pause)
            else:
                member.agenda.unreachable.failed(now, pause)
        level = logging.ERROR if is_news else logging.DEBUG
        _log.log(level, "%s: %s", member.name, reason, exc_info=_traced(error))

    def _advance(self, member: Member, agenda: Windows, after: Coverage) -> None:
        """Save a coverage that no reading goes with; the caller holds the member's lock."""
        assert member.key is not None
        self._store.save_coverage(member.key, agenda.coverage, after)
        agenda.coverage = after

    def _record(self, run: Run) -> None:
        try:
            self._store.record(run)
        except StoreFull as error:
            _log.error("a run could not be recorded: %s", reason_of(error))

    def _run_of(self, member: Member, request: Request | None, started: datetime) -> Run:
        collector = member.collector
        window = request.window if request else None
        return Run(
            collector=collector.id,
            name=collector.name,
            origin=request.origin if request else "",
            started=started,
            window=window,
            outcome="failed",
            query=collect.described(collector.query, window),
        )

    def _ended(self, run: Run, outcome: Outcome, reason: str | None) -> Run:
        took = self._clock.now() - run.started
        milliseconds = took // timedelta(milliseconds=1)
        return evolve(run, outcome=outcome, reason=reason, milliseconds=milliseconds)


class _Broken(Exception):
    """What a source raised that ends the pass."""

    def __init__(self, cause: Exception, run: Run | None = None) -> None:
        self.cause = cause
        self.run = run
        super().__init__(str(cause))


def _no_room(member: Member, now: datetime, error: StoreFull) -> None:
    """Keep what is owed for later: nothing was committed, so it is read again."""
    _log.error("%s: %s", member.name, reason_of(error))
    if isinstance(member.agenda, Windows):
        member.agenda.not_before = now + _WAIT_FOR_ROOM
    else:
        member.agenda.ended(now, failed=True, pause=_WAIT_FOR_ROOM)


def _tell(member: Member, reading: Reading, committed: Committed) -> None:
    for text in (*reading.warnings, committed.note):
        if text:
            _log.info("%s: %s", member.name, text)
    for sink in committed.dropped:
        _log.error("%s: the outbox of %s is full: it misses a reading", member.name, sink)


def _tell_lag(member: Member, lag: timedelta) -> None:
    if lag > _SUSPICIOUS_LAG and not member.said_late:
        _log.warning(
            "%s: the source shows its data up to %s ago only: it is behind, or the clock here is "
            "ahead; windows wait for it", member.name, lag,
        )  # fmt: skip
    member.said_late = lag > _SUSPICIOUS_LAG


def _traced(error: Exception) -> Exception | None:
    return error if _log.isEnabledFor(logging.DEBUG) else None
