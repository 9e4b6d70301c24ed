"""The members of a daemon: its collectors, each with what says when it runs and where."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from threading import Lock

from attrs import define, field, frozen

from signals_core.agenda import Agenda
from signals_core.collector import Collector
from signals_core.connections import Connection
from signals_core.coverage import Coverage
from signals_core.facts import Watermark
from signals_core.lanes import Lane
from signals_core.plugin import Source
from signals_core.store import CoverageKey, Outcome, Paused


@frozen
class Shown:
    """A watermark, None where our clock is right, and when it was asked for, by `monotonic()`."""

    watermark: datetime | None
    asked: float


@define(eq=False)
class Turn:
    """A member's turn to run, its own while it lasts.

    `began` is when its tick came, None for past windows. `outcome` is that of its one reading; None
    when it made none, for which `trouble` may be why. `shown` is the watermark known to it, from
    itself or the turns before it in a row; `news` are the sinks that these have got something for
    and that were not told yet.
    """

    outcome: Outcome | None = None
    trouble: str | None = None
    began: datetime | None = None
    shown: Shown | None = None
    news: set[str] = field(factory=set)
    is_taken: bool = False
    is_over: bool = False


@frozen(eq=False)
class Form:
    """What a member is to be: its collector, where that queues, and what the store has of it.

    `coverage` is that of a windowed collector, None for one that has read nothing.
    """

    collector: Collector
    source: Connection[Source]
    lane: Lane
    sinks: tuple[str, ...]
    key: CoverageKey | None
    coverage: Coverage | None


@define(eq=False)
class Member:
    """One collector in the daemon: its agenda, where it queues, and the run that is under way.

    `pause` keeps it from being read until it is over. `next_form` is what it becomes when its
    turn is over. `watermark` is what the source last showed.
    `lock` guards the agenda, `pause` and `turn`. Only who has the turn changes the coverage.
    """

    collector: Collector
    agenda: Agenda
    source: Connection[Source]
    lane: Lane
    sinks: tuple[str, ...]
    key: CoverageKey | None
    turn: Turn | None = None
    pause: Paused | None = None
    next_form: Form | None = None
    is_removed: bool = False
    watermark: Watermark | None = None
    lock: Lock = field(factory=Lock)

    @property
    def name(self) -> str:
        """The collector's name, for a log line."""
        return self.collector.name

    @property
    def is_stale(self) -> bool:
        """Whether nothing is to be begun as what it is now."""
        return self.is_removed or self.next_form is not None

    def come_back(self) -> bool:
        """Be there again after it was removed, if it is still running; whether it is."""
        with self.lock:
            self.is_removed = self.turn is None
            return not self.is_removed

    def is_paused(self, now: datetime) -> bool:
        """Whether it is not to be read now."""
        pause = self.pause
        return pause is not None and (pause.until is None or pause.until > now)

    def obey(self, pause: Paused | None, now: datetime) -> None:
        """Be paused, or go on where it was; under the lock."""
        before, self.pause = self.pause, pause
        if before is not None and pause is None:
            self.agenda.resume(now)

    def take(self, turn: Turn, may: Callable[[], bool]) -> bool:
        """Begin a turn, if there is none and it `may`, which is asked under the lock."""
        with self.lock:
            if self.turn is None and may():
                self.turn, turn.is_taken = turn, True
            return turn.is_taken
