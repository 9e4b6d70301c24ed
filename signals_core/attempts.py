"""Attempts: one run of a collector in the daemon, from the watermark to its outcome."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import partial
from threading import Thread

from attrs import evolve

from signals_core import collect
from signals_core.agenda import Snapshots, Windows
from signals_core.clock import Clock
from signals_core.coverage import LATEST
from signals_core.duration import format_duration
from signals_core.errors import Cancelled, RetryAfter, Unavailable
from signals_core.facts import Watermark
from signals_core.member import Member, Shown, Turn
from signals_core.outcomes import Outcomes
from signals_core.plugin import Source
from signals_core.remarks import Remarks
from signals_core.store import Run, Store, StoreError
from signals_core.tally import Tally
from signals_core.versions import Versions
from signals_core.watch import GivenUp, Watch
from signals_core.window import Window, iso

_log = logging.getLogger("signals")

_AFTER_SURPRISE = timedelta(minutes=1)
_KNOWN_SECONDS = 1.0  # that a watermark serves the turns of a row


class Attempts:
    """Runs members: asks their sources, and has noted what comes of it.

    `on_given_up` is told that a run will not end.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        versions: Versions,
        tally: Tally,
        *,
        on_given_up: Callable[[Member, Turn], None],
    ) -> None:
        self.watch = Watch(clock)
        self.stopping = False
        self._store = store
        self._clock = clock
        self._versions = versions
        self._remarks = Remarks()
        self._outcomes = Outcomes(store, clock, self._remarks, tally)
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
            self._outcomes.cannot_store(member, turn, error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
            _log.exception("%s: its run ended unexpectedly", member.name)
            self._outcomes.pause(member, turn, error, _AFTER_SURPRISE)

    def _scheduled(self, member: Member, turn: Turn) -> None:
        agenda = member.agenda
        if isinstance(agenda, Snapshots):
            self._on_source(member, turn, lambda source: self._read(member, turn, source))
        elif self.is_held_up(member):
            self._outcomes.no_room(turn, agenda)
        else:
            self._on_source(member, turn, lambda source: self._due(member, turn, source, agenda))

    def _due(self, member: Member, turn: Turn, source: Source, agenda: Windows) -> None:
        seen = self._known(turn, agenda)
        window = None if seen is None else self._chosen(member, agenda, seen)
        if seen is None or window is None:
            seen = self._seen(member, turn, source, agenda)
            window = self._chosen(member, agenda, seen)
            self._outcomes.say_missed(member, agenda, seen)
        now, is_waiting = self._clock.now(), False
        if window is not None:
            self._read(member, turn, source, window, seen)
            self._outcomes.say_missed(member, agenda, seen)
        else:
            with member.lock:
                is_waiting = agenda.wait_for(seen, now)
                agenda.worked()
        self._remarks.lag(member.name, member.source, now - seen, is_waiting=is_waiting)

    def _chosen(self, member: Member, agenda: Windows, seen: datetime) -> Window | None:
        if excess := agenda.excess(seen):
            self._outcomes.skip(member, agenda, excess)
        return agenda.choose(seen, self._clock.now())

    def _past(
        self, member: Member, turn: Turn, window: Window, resend: Collection[str] | None
    ) -> None:
        agenda = member.agenda
        assert isinstance(agenda, Windows)

        def read(source: Source) -> None:
            seen = self._known(turn, agenda)
            if seen is None or window.end > seen:
                seen = self._seen(member, turn, source, agenda)
            if window.end <= seen:
                self._read(member, turn, source, window, seen, resend)
            else:
                turn.outcome = "skipped"
                run = self._outcomes.begun(member, None, self._clock.now(), window)
                reason = f"it is not over: its source shows up to {iso(seen)}"
                self._outcomes.over(member, run, "skipped", reason)

        self._on_source(member, turn, read)

    def _on_source(self, member: Member, turn: Turn, work: Callable[[Source], None]) -> None:
        """Work with the source; all is noted when it cannot be reached."""
        run = self._outcomes.begun(member, None, self._clock.now())
        unreachable = partial(self._outcomes.unreachable, member, turn)
        shut = Unavailable(f"{_source_of(member)} did not open within {_timeout_of(member)}")
        note = partial(unreachable, run, shut)
        give_up = partial(self._give_up, member, turn, note)
        seconds = member.collector.timeout.total_seconds()
        connection = member.source  # another may have taken its place when this one is given up
        try:
            source = connection.acquire(lambda: self.watch.over(seconds, None, give_up))
        except GivenUp:
            raise
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            unreachable(run, error)
            return
        broken = False
        try:
            work(source)
        except _Broken as broke:
            broken = not isinstance(broke.cause, RetryAfter)
            unreachable(broke.run or run, broke.cause)
        except GivenUp:
            broken = True
            raise
        finally:
            connection.release(broken=broken)

    def _known(self, turn: Turn, agenda: Windows) -> datetime | None:
        """Return W as the turns before in a row know it; None when the source is to be asked.

        What it has shown it shows still, but behind its address another server may come to be.
        """
        seen = turn.shown
        if seen is None or not agenda.is_seen:
            return None
        if self._clock.monotonic() - seen.asked > _KNOWN_SECONDS:
            return None
        return min(self._clock.now(), seen.watermark or LATEST)

    def _seen(self, member: Member, turn: Turn, source: Source, agenda: Windows) -> datetime:
        """Ask for W: the smaller of our clock and the source's watermark."""
        now, asked = self._clock.now(), self._clock.monotonic()
        run = self._outcomes.begun(member, None, now)
        error = Unavailable(
            f"the watermark of {_source_of(member)} did not come within {_timeout_of(member)}"
        )
        note = partial(self._outcomes.unreachable, member, turn, run, error)
        give_up = partial(self._give_up, member, turn, note)
        try:
            with self.watch.over(member.collector.timeout.total_seconds(), None, give_up):
                watermark = source.watermark()
        except GivenUp:
            raise
        except Exception as error:
            raise _Broken(error) from error
        seen = now if watermark is None else min(now, watermark)
        member.watermark = None if watermark is None else Watermark(watermark, now)
        turn.shown = Shown(watermark, asked)
        if not agenda.is_seen:
            self._outcomes.take_up(member, agenda, seen)
        return seen

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
        run = evolve(self._outcomes.begun(member, request, began, window), window=bucket)
        late = Cancelled("the read took longer than its timeout and does not obey a cancel")
        note = partial(self._outcomes.failed, member, turn, run, late)
        give_up = partial(self._give_up, member, turn, note)
        try:
            with self.watch.over(request.timeout, request, give_up) as call:
                reading = collect.read(collector, source, request, version, bucket)
        except GivenUp:
            raise
        except Exception as error:
            if self.stopping and call.is_cancelled:
                turn.trouble = "signals is stopping"
                self._outcomes.over(member, run, "cancelled", turn.trouble)
            elif isinstance(error, (Unavailable, RetryAfter)):
                raise _Broken(error, run) from error
            else:
                self._outcomes.failed(member, turn, run, error)
        else:
            self._outcomes.commit(member, turn, reading, run, seen, resend)

    def _give_up(
        self, member: Member, turn: Turn, note: Callable[[], None], thread: Thread
    ) -> None:
        """End a turn whose thread does not come back; its connection slot stays taken."""
        member.source.abandon(thread)
        member.lane.give_up(thread)
        self._safely(member, turn, note)
        self._on_given_up(member, turn)


def _source_of(member: Member) -> str:
    name = member.collector.shared_source
    kind = type(member.collector.source).__name__
    return f"its source {name} ({kind})" if name else f"its source ({kind})"


def _timeout_of(member: Member) -> str:
    return format_duration(member.collector.timeout)


class _Broken(Exception):
    """What a source raised that ends the pass."""

    def __init__(self, cause: Exception, run: Run | None = None) -> None:
        self.cause = cause
        self.run = run
        super().__init__(str(cause))
