"""Outcomes: what comes of a run, in the store, in its agenda and in the log."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, timedelta

from attrs import evolve

from signals_core import collect
from signals_core.agenda import Snapshots, Windows
from signals_core.clock import Clock
from signals_core.collector import Reading
from signals_core.coverage import Coverage, Span, within
from signals_core.errors import RetryAfter, reason_of
from signals_core.member import Member, Turn
from signals_core.plugin import Request
from signals_core.remarks import Remarks
from signals_core.store import Outcome, Run, Store, StoreError
from signals_core.tally import Tally
from signals_core.window import Window, iso

_log = logging.getLogger("signals")

_WAIT_FOR_ROOM = timedelta(seconds=10)
_LONGEST_PAUSE = 86_400.0  # that a source may ask for


class Outcomes:
    """Notes what comes of runs: a reading and its coverage are one transaction."""

    def __init__(self, store: Store, clock: Clock, remarks: Remarks, tally: Tally) -> None:
        self._store = store
        self._clock = clock
        self._remarks = remarks
        self._tally = tally

    def begun(
        self,
        member: Member,
        request: Request | None,
        started: datetime,
        window: Window | None = None,
    ) -> Run:
        """Return a run as it begins; `failed` until it is known to be anything else."""
        collector = member.collector
        return Run(
            collector=collector.id,
            name=collector.name,
            origin=request.origin if request else "",
            started=started,
            window=window,
            outcome="failed",
        )

    def skip(self, member: Member, agenda: Windows, span: Span) -> None:
        """Pass over what is more than `catch_up` says."""
        after = agenda.coverage.after_skipping(*span)
        count, _ = within(agenda.grain, agenda.coverage.unread(*span))
        self._advance(member, agenda, after)
        _log.warning(
            "%s: skipped %d windows, from %s to %s, as catch_up says (`signals backfill` reads "
            "them)", member.name, count, *map(iso, span),
        )  # fmt: skip

    def say_missed(self, member: Member, agenda: Windows, seen: datetime) -> None:
        """Say that windows are being made up, or no longer."""
        failed = len(agenda.coverage.failures)
        self._remarks.missed(member.name, *agenda.missed(seen), failed=failed)

    def take_up(self, member: Member, agenda: Windows, seen: datetime) -> None:
        """Go on from the stored coverage, or begin one with what the source shows."""
        assert member.key is not None
        before = self._store.coverage(member.key)
        known = before or Coverage.at_first_sight(agenda.grain, agenda.policy, seen)
        after = known.with_policy(agenda.policy, seen)
        if after != before:
            self._store.save_coverage(member.key, before, after)
        with member.lock:
            agenda.see(after)

    def commit(
        self,
        member: Member,
        turn: Turn,
        reading: Reading,
        run: Run,
        seen: datetime | None,
        resend: Collection[str] | None,
    ) -> None:
        """Store a reading, what it covers, and what is pending of it for whom."""
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
        turn.news.update(committed.sent)
        self._count(evolve(done, outcome=turn.outcome))
        failed = len(agenda.coverage.failures) if isinstance(agenda, Windows) else 0
        self._remarks.read(member.name, member.source, reading, committed, failed)

    def failed(self, member: Member, turn: Turn, run: Run, error: Exception) -> None:
        """Note that a read failed: its window comes again later, and the others go on."""
        agenda, now, reason = member.agenda, self._clock.now(), reason_of(error)
        turn.outcome, turn.trouble = "failed", reason
        self._record(self._ended(member, run, "failed", reason))
        if not isinstance(agenda, Windows):
            with member.lock:
                agenda.failed(run.started, now, None)
            self._remarks.failed(member.name, error)
            return
        assert run.window is not None
        with member.lock:
            agenda.worked()
        earlier = agenda.coverage.failures.get(run.window.start)
        self._advance(member, agenda, agenda.coverage.after_failure(run.window, reason, now))
        count = len(agenda.coverage.failures)
        is_known = earlier is not None and earlier.reason == reason
        self._remarks.window_failed(member.name, run.window, error, count, is_known=is_known)

    def unreachable(self, member: Member, turn: Turn, run: Run, error: Exception) -> None:
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

    def cannot_store(self, member: Member, turn: Turn, error: StoreError) -> None:
        """Keep what is owed for later: nothing was committed, so it is read again."""
        self._remarks.cannot_store(member.name, error)
        self.pause(member, turn, error, _WAIT_FOR_ROOM)

    def no_room(self, turn: Turn, agenda: Windows) -> None:
        """Note that nothing is read before a sink has taken something."""
        turn.trouble = "the outbox of one of its sinks is full"
        agenda.not_before = self._clock.now() + _WAIT_FOR_ROOM

    def over(self, member: Member, run: Run, outcome: Outcome, reason: str | None) -> None:
        """Note that a run is over and that nothing comes of it."""
        self._record(self._ended(member, run, outcome, reason))

    def pause(self, member: Member, turn: Turn, error: Exception, pause: timedelta) -> None:
        """Note that nobody knows how far a run came: it is tried again in a while."""
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

    def _count(self, run: Run) -> None:
        seconds = run.milliseconds / 1000
        self._tally.run(run.collector, run.outcome, seconds, rows=run.rows, metrics=run.metrics)

    def _record(self, run: Run) -> None:
        self._count(run)
        try:
            self._store.record(run)
        except StoreError as error:
            self._remarks.cannot_store(run.name, error)

    def _ended(self, member: Member, run: Run, outcome: Outcome, reason: str | None) -> Run:
        took = self._clock.now() - run.started
        milliseconds = max(took // timedelta(milliseconds=1), 0)
        said = "; ".join(filter(None, (reason, self._missed(member), self._dropped(member))))
        return evolve(
            run,
            outcome=outcome,
            reason=said or None,
            milliseconds=milliseconds,
            query=collect.described(member.collector.query, None),
        )

    def _missed(self, member: Member) -> str | None:
        """Return what is to be said of ticks that came while the collector was paused."""
        with member.lock:
            agenda = member.agenda
            count = agenda.take_missed() if isinstance(agenda, Snapshots) else 0
        if not count:
            return None
        self._remarks.missed_ticks(member.name, count)
        return f"ticks missed while paused: {count}"

    def _dropped(self, member: Member) -> str | None:
        """Return what is to be said of ticks that came while the run was under way."""
        with member.lock:
            agenda = member.agenda
            count = agenda.take_dropped() if isinstance(agenda, Snapshots) else 0
        self._remarks.dropped(member.name, count)
        if not count:
            return None
        self._tally.dropped_ticks(member.collector.id, count)
        return f"dropped ticks that came meanwhile: {count}"


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), _LONGEST_PAUSE)
