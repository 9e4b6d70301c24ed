"""Turns: when a member may run, and that it does so once at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from threading import Condition

from signals_core.agenda import Windows
from signals_core.clock import Clock
from signals_core.member import Member, Turn
from signals_core.timer import Timer

#: For how long a row of turns keeps to itself what sinks have got.
_GATHER_SECONDS = 0.05


class Turns:
    """Has members run as their agendas say, but for those that are paused.

    `run` makes one reading at the most. Who has more windows to read keeps its slot for them, turn
    after turn, unless somebody waits for it. `changed` is notified whenever a row of turns is over.
    `settle` is called under the lock of a member that may take a new form, `tell` with the sinks
    that have got something: after a turn, or every now and then in a row of them, for one batch of
    many readings costs less than many of one.
    """

    def __init__(
        self,
        timer: Timer,
        clock: Clock,
        changed: Condition,
        run: Callable[[Member, Turn], None],
        settle: Callable[[Member], None],
        tell: Callable[[Iterable[str]], None],
    ) -> None:
        self._timer = timer
        self._clock = clock
        self.changed = changed
        self._attempt = run
        self._settle = settle
        self._tell = tell

    def add(self, member: Member) -> None:
        """Have a member run from now on."""
        key = member.collector.id
        self._timer.add(key, partial(self._next_run, member), partial(self._fire, member))

    def end(self, member: Member, turn: Turn) -> None:
        """Give a turn back; of one that was given up before, nothing more comes."""
        self._tell(turn.news)
        with member.lock:
            if member.turn is turn:
                member.turn = None
            self._settle(member)
        with self.changed:
            turn.is_over = True
            self.changed.notify_all()
        self.wake(member)

    def wake(self, member: Member) -> None:
        """Have a member asked for its next run, because something has changed."""
        self._timer.wake(member.collector.id)

    def remove(self, member: Member) -> None:
        """Have a member run no more."""
        self._timer.remove(member.collector.id)

    def _next_run(self, member: Member, now: datetime) -> datetime | None:
        with member.lock:
            when = member.agenda.next_run(now)
            if member.turn is not None:
                return member.agenda.next_tick
            if member.is_paused(now):
                assert member.pause is not None
                times = (member.agenda.next_tick, member.pause.until)
                return min((time for time in times if time is not None), default=None)
            return when

    def _fire(self, member: Member, tick: datetime) -> None:
        now = max(self._clock.now(), tick)
        turn = Turn(began=now)
        with member.lock:
            if not member.is_paused(now):
                member.obey(None, now)
            if member.turn is not None:
                member.agenda.meanwhile(now)
            elif member.is_paused(now):
                member.agenda.pass_over(now)
            elif not member.is_removed and _is_due(member, now) and member.agenda.begin(now):
                member.turn = turn
        if member.turn is turn:
            member.lane.submit(partial(self._run, member, turn))

    def _run(self, member: Member, turn: Turn) -> None:
        try:
            now = self._clock.now()
            if member.is_stale or member.is_paused(now):
                with member.lock:
                    member.agenda.put_off(now)
            else:
                for following in self._row(member, turn):
                    turn = following
                    self._attempt(member, turn)
        finally:
            self.end(member, turn)

    def _row(self, member: Member, turn: Turn) -> Iterator[Turn]:
        """Yield a turn, and then those that follow at once, each in the place of the one before."""
        told = self._clock.monotonic()
        following: Turn | None = turn
        while following is not None:
            yield following
            if self._clock.monotonic() - told > _GATHER_SECONDS:
                self._tell(following.news)
                told, following.news = self._clock.monotonic(), set()
            following = self._following(member, following)

    def _following(self, member: Member, turn: Turn) -> Turn | None:
        agenda = member.agenda
        if turn.outcome is None or not isinstance(agenda, Windows) or member.lane.is_wanted:
            return None
        now = self._clock.now()
        with member.lock:
            if member.turn is not turn or member.is_stale or member.is_paused(now):
                return None
            if not agenda.is_ready(now):
                return None
            member.turn = Turn(began=now, shown=turn.shown, news=turn.news)
            return member.turn


def _is_due(member: Member, now: datetime) -> bool:
    """Whether there is something to begin: where a pause has ended, there need not be."""
    when = member.agenda.next_run(now)
    return when is not None and when <= now
