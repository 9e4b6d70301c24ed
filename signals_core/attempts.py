"""Attempts: one run of a collector in the daemon, from the watermark to the commit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from threading import Thread

from attrs import evolve

from signals_core import collect
from signals_core.agenda import Snapshots, Windows
from signals_core.clock import Clock
from signals_core.collector import Reading
from signals_core.coverage import Coverage, Span, within
from signals_core.errors import Cancelled, RetryAfter, Unavailable, reason_of
from signals_core.member import Member, Turn
from signals_core.plugin import Request, Source
from signals_core.remarks import Remarks
from signals_core.store import Outcome, Run, Store, StoreError
from signals_core.versions import Versions
from signals_core.watch import GivenUp, Watch
from signals_core.window import Window, iso

_log = logging.getLogger("signals")

_WAIT_FOR_ROOM = timedelta(seconds=10)
_AFTER_SURPRISE = timedelta(minutes=1)
_LONGEST_PAUSE = 86_400.0  # that a source may ask for


class Attempts:
    """Runs members: each reading is one transaction with its coverage and what sinks will get.

    `on_pending` is told which sinks have got something, `on_given_up` that a run will not end.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        versions: Versions,
        *,
        on_pending: Callable[[Iterable[str]], None],
        on_given_up: Callable[[Member, Turn], None],
    ) -> None:
        self.watch = Watch(clock)
        self.stopping = False
        self._store = store
        self._clock = clock
        self._versions = versions
        self._remarks = Remarks()
        self._on_pending = on_pending
        self._on_given_up = on_given_up

    def scheduled(self, member: Member, turn: Turn) -> None:
        """Run a member as its agenda says: one reading at the most."""
        self._safely(member, turn, lambda: self._scheduled(member, turn))

    def past(
        self, member: Member, turn: Turn, window: Window, resend: Collection[str] | None
    ) -> None:
        """Read a past window of a member, due at whatever level; `skipped` when it is not over."""
        self._safely(member, turn, lambda: self._past(member, turn, window, resend))

    def is_held_up(self, member: Member) -> bool:
        """Whether a windowed collector must wait until one of its sinks has taken something."""
        full = [name for name in member.sinks if self._store.is_full(name)]
        for name in member.sinks:
            self._remarks.full_outbox(name, is_full=name in full)
        return bool(full)

    def _safely(self, member: Member, turn: Turn, run: Callable[[], None]) -> None:
        """Run, and whatever goes wrong have it tried again in a while."""
        try:
            run()
        except GivenUp:
            pass
        except StoreError as error:
            self._cannot_store(member, turn, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
            _log.exception("%s: its run ended unexpectedly", member.name)
            self._pause(member, turn, error, _AFTER_SURPRISE)

    def _scheduled(self, member: Member, turn: Turn) -> None:
        agenda = member.agenda
        if isinstance(agenda, Snapshots):
            self._on_source(member, turn, lambda source: self._read(member, turn, source))
        elif self.is_held_up(member):
            turn.trouble = "the outbox of one of its sinks is full"
            agenda.not_before = self._clock.now() + _WAIT_FOR_ROOM
        else:
            self._on_source(member, turn, lambda source: self._due(member, turn, source, agenda))

    def _due(self, member: Member, turn: Turn, source: Source, agenda: Windows) -> None:
        seen = self._seen(member, turn, source, agenda)
        now = self._clock.now()
        if excess := agenda.excess(seen):
            self._skip(member, agenda, excess)
        self._say_missed(member, agenda, seen)
        with member.lock:
            window = agenda.choose(seen, now)
            is_waiting = agenda.not_before is not None and agenda.not_before > now
            if window is None:
                agenda.worked()
        if window is not None:
            self._read(member, turn, source, window, seen)
            self._say_missed(member, agenda, seen)
        self._remarks.lag(member.name, member.source, now - seen, is_waiting=is_waiting)

    def _say_missed(self, member: Member, agenda: Windows, seen: datetime) -> None:
        failed = len(agenda.coverage.failures)
        self._remarks.missed(member.name, *agenda.missed(seen), failed=failed)

    def _skip(self, member: Member, agenda: Windows, span: Span) -> None:
        after = agenda.coverage.after_skipping(*span)
        count, _ = within(agenda.grain, agenda.coverage.unread(*span))
        self._advance(member, agenda, after)
        _log.warning(
            "%s: skipped %d windows, from %s to %s, as catch_up says (`signals backfill` reads "
            "them)", member.name, count, *map(iso, span),
        )  # fmt: skip

    def _past(
        self, member: Member, turn: Turn, window: Window, resend: Collection[str] | None
    ) -> None:
        agenda = member.agenda
        assert isinstance(agenda, Windows)

        def read(source: Source) -> None:
            seen = self._seen(member, turn, source, agenda)
            if window.end <= seen:
                self._read(member, turn, source, window, seen, resend)
            else:
                turn.outcome = "skipped"
                run = self._run_of(member, None, self._clock.now(), window)
                reason = f"it is not over: its source shows up to {iso(seen)}"
                self._record(self._ended(member, run, "skipped", reason))

        self._on_source(member, turn, read)

    def _on_source(self, member: Member, turn: Turn, work: Callable[[Source], None]) -> None:
        """Work with the source; all is noted when it cannot be reached."""
        run = self._run_of(member, None, self._clock.now())

        def give_up(thread: Thread) -> None:
            error = Unavailable("it does not open")
            self._give_up(member, turn, thread, lambda: self._unreachable(member, turn, run, error))

        seconds = member.collector.timeout.total_seconds()
        try:
            source = member.source.acquire(lambda: self.watch.over(seconds, None, give_up))
        except GivenUp:
            raise
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            self._unreachable(member, turn, run, error)
            return
        broken = False
        try:
            work(source)
        except _Broken as broke:
            broken = not isinstance(broke.cause, RetryAfter)
            self._unreachable(member, turn, broke.run or run, broke.cause)
        except GivenUp:
            broken = True
            raise
        finally:
            member.source.release(broken=broken)

    def _seen(self, member: Member, turn: Turn, source: Source, agenda: Windows) -> datetime:
        """Return W: the smaller of our clock and the source's watermark."""
        now = self._clock.now()
        run = self._run_of(member, None, now)

        def give_up(thread: Thread) -> None:
            error = Unavailable("its watermark does not come")
            self._give_up(member, turn, thread, lambda: self._unreachable(member, turn, run, error))

        try:
            with self.watch.over(member.collector.timeout.total_seconds(), None, give_up):
                watermark = source.watermark()
        except GivenUp:
            raise
        except Exception as error:
            raise _Broken(error) from error
        seen = now if watermark is None else min(now, watermark)
        if not agenda.is_seen:
            self._take_up(member, agenda, seen)
        return seen

    def _take_up(self, member: Member, agenda: Windows, seen: datetime) -> None:
        """Go on from the stored coverage, or begin one with what the source shows."""
        assert member.key is not None
        before = self._store.coverage(member.key)
        known = before or Coverage.at_first_sight(agenda.grain, agenda.policy, seen)
        after = known.with_policy(agenda.policy, seen)
        if after != before:
            self._store.save_coverage(member.key, before, after)
        with member.lock:
            agenda.see(after)

    def _read(
        self,
        member: Member,
        turn: Turn,
        source: Source,
        window: Window | None = None,
        seen: datetime | None = None,
        resend: Collection[str] | None = None,
    ) -> None:
        collector, began = member.collector, self._clock.now()
        grain = collector.buckets
        bucket = window or (grain.window(began) if grain else None)
        version = self._versions.next(collector.id, began)
        request = collect.request_for(collector, window, self._clock)
        run = evolve(self._run_of(member, request, began, window), window=bucket)

        def give_up(thread: Thread) -> None:
            error = Cancelled("the read took longer than its timeout and does not obey a cancel")
            self._give_up(member, turn, thread, lambda: self._failed(member, turn, run, error))

        try:
            with self.watch.over(request.timeout, request, give_up) as call:
                reading = collect.read(collector, source, request, version, bucket)
        except GivenUp:
            raise
        except Exception as error:
            if self.stopping and call.is_cancelled:
                turn.trouble = "signals is stopping"
                self._record(self._ended(member, run, "cancelled", turn.trouble))
            elif isinstance(error, (Unavailable, RetryAfter)):
                raise _Broken(error, run) from error
            else:
                self._failed(member, turn, run, error)
        else:
            self._commit(member, turn, reading, run, seen, resend)

    def _give_up(
        self, member: Member, turn: Turn, thread: Thread, note: Callable[[], None]
    ) -> None:
        """End a turn whose thread does not come back; its connection slot stays taken."""
        member.source.abandon(thread)
        member.lane.give_up(thread)
        self._safely(member, turn, note)
        self._on_given_up(member, turn)

    def _commit(
        self,
        member: Member,
        turn: Turn,
        reading: Reading,
        run: Run,
        seen: datetime | None,
        resend: Collection[str] | None,
    ) -> None:
        agenda, coverage = member.agenda, None
        done = evolve(
            self._ended(member, run, "read", "; ".join(reading.warnings) or None),
            rows=reading.rows,
            metrics=len(reading.metrics),
        )
        if isinstance(agenda, Windows):
            assert member.key is not None
            assert run.window is not None
            assert seen is not None
            after = agenda.coverage.after_reading(run.window, agenda.policy, seen)
            coverage = (member.key, agenda.coverage, after)
        committed = self._store.commit(
            reading, run=done, sinks=member.sinks, coverage=coverage, resend=resend
        )
        with member.lock:
            agenda.worked()
            if isinstance(agenda, Windows) and coverage:
                agenda.coverage = coverage[2]
        turn.outcome = "unchanged" if committed.unchanged else "read"
        self._remarks.read(member.name, member.source, reading, committed)
        self._on_pending(committed.sent)

    def _failed(self, member: Member, turn: Turn, run: Run, error: Exception) -> None:
        """Note that a read failed: its window comes again later, and the others go on."""
        agenda, now, reason = member.agenda, self._clock.now(), reason_of(error)
        turn.outcome, turn.trouble = "failed", reason
        self._record(self._ended(member, run, "failed", reason))
        earlier = None
        if isinstance(agenda, Windows):
            assert run.window is not None
            with member.lock:
                agenda.worked()
            earlier = agenda.coverage.failures.get(run.window.start)
            self._advance(member, agenda, agenda.coverage.after_failure(run.window, reason, now))
        else:
            with member.lock:
                agenda.failed(run.started, now, None)
        is_known = earlier is not None and earlier.reason == reason
        self._remarks.failed(member.name, error, is_known=is_known)

    def _unreachable(self, member: Member, turn: Turn, run: Run, error: Exception) -> None:
        """Note that the pass ends, to be tried again when the source may be back."""
        now, reason = self._clock.now(), reason_of(error)
        turn.trouble = reason
        asked = isinstance(error, RetryAfter)
        pause = (
            timedelta(seconds=_bounded(error.seconds)) if isinstance(error, RetryAfter) else None
        )
        with member.lock:
            is_known = bool(member.agenda.unreachable.attempts)
            member.agenda.failed(run.started, now, pause, asked=asked)
        self._remarks.unreachable(member.name, member.source, error, is_known=is_known)
        self._record(self._ended(member, run, "unreachable", reason))

    def _cannot_store(self, member: Member, turn: Turn, error: StoreError) -> None:
        """Keep what is owed for later: nothing was committed, so it is read again."""
        self._remarks.cannot_store(member.name, error)
        self._pause(member, turn, error, _WAIT_FOR_ROOM)

    def _pause(self, member: Member, turn: Turn, error: Exception, pause: timedelta) -> None:
        now = self._clock.now()
        turn.outcome, turn.trouble = None, reason_of(error)
        with member.lock:
            if isinstance(member.agenda, Windows):
                member.agenda.not_before = now + pause
                member.agenda.is_seen = False  # what the store has now is not known
            else:
                member.agenda.failed(now, now, pause)

    def _advance(self, member: Member, agenda: Windows, after: Coverage) -> None:
        """Save a coverage that no reading goes with."""
        assert member.key is not None
        self._store.save_coverage(member.key, agenda.coverage, after)
        with member.lock:
            agenda.coverage = after

    def _record(self, run: Run) -> None:
        try:
            self._store.record(run)
        except StoreError as error:
            self._remarks.cannot_store(run.name, error)

    def _run_of(
        self,
        member: Member,
        request: Request | None,
        started: datetime,
        window: Window | None = None,
    ) -> Run:
        collector = member.collector
        return Run(
            collector=collector.id,
            name=collector.name,
            origin=request.origin if request else "",
            started=started,
            window=window,
            outcome="failed",
            query=collect.described(collector.query, None),
        )

    def _ended(self, member: Member, run: Run, outcome: Outcome, reason: str | None) -> Run:
        took = self._clock.now() - run.started
        milliseconds = max(took // timedelta(milliseconds=1), 0)
        said = "; ".join(filter(None, (reason, self._dropped(member))))
        return evolve(run, outcome=outcome, reason=said or None, milliseconds=milliseconds)

    def _dropped(self, member: Member) -> str | None:
        """Return what is to be said of ticks that came while the run was under way."""
        with member.lock:
            agenda = member.agenda
            count = agenda.take_dropped() if isinstance(agenda, Snapshots) else 0
        if not count:
            return None
        self._remarks.dropped(member.name, count)
        return f"dropped ticks that came meanwhile: {count}"


class _Broken(Exception):
    """What a source raised that ends the pass."""

    def __init__(self, cause: Exception, run: Run | None = None) -> None:
        self.cause = cause
        self.run = run
        super().__init__(str(cause))


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), _LONGEST_PAUSE)
