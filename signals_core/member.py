"""The members of a daemon: its collectors, each with what says when it runs and where."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from threading import Lock

from attrs import define, field

from signals_core.agenda import Snapshots, Windows
from signals_core.collector import Collector
from signals_core.connections import Connection
from signals_core.facts import Watermark
from signals_core.lanes import Lane
from signals_core.plugin import Source
from signals_core.store import CoverageKey, Outcome

Agenda = Snapshots | Windows


@define(eq=False)
class Turn:
    """A member's turn to run, its own while it lasts.

    `began` is when its tick came, None for past windows. `outcome` is that of its one reading; None
    when it made none, for which `trouble` may be why.
    """

    outcome: Outcome | None = None
    trouble: str | None = None
    began: datetime | None = None
    is_taken: bool = False
    is_over: bool = False


@define(eq=False)
class Member:
    """One collector in the daemon: its agenda, where it queues, and the run that is under way.

    `watermark` is what the source last showed. `lock` guards the agenda and `turn`. Only who has
    the turn changes the coverage.
    """

    collector: Collector
    agenda: Agenda
    source: Connection[Source]
    lane: Lane
    sinks: tuple[str, ...]
    key: CoverageKey | None
    turn: Turn | None = None
    watermark: Watermark | None = None
    lock: Lock = field(factory=Lock)

    @property
    def name(self) -> str:
        """The collector's name, for a log line."""
        return self.collector.name

    def take(self, turn: Turn, may: Callable[[], bool]) -> bool:
        """Begin a turn, if there is none and it `may`, which is asked under the lock."""
        with self.lock:
            if self.turn is None and may():
                self.turn, turn.is_taken = turn, True
            return turn.is_taken
