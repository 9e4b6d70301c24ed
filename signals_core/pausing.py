"""Pauses at work: who is paused, and since when it is said."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from signals_core.clock import Clock
from signals_core.collector import Collector
from signals_core.member import Member
from signals_core.phrases import moment
from signals_core.store import Paused, Store

_events = logging.getLogger("signals.run")  # shown at every level, as starts and stops are


class Pausing:
    """Has members obey the pauses that the store keeps.

    `wake` has a member's next run asked for anew.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        members: Mapping[str, Member],
        wake: Callable[[str], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._members = members
        self._wake = wake
        self._pauses: list[Paused] = []

    def load(self) -> None:
        """Take up the pauses of an earlier process. Raises `StoreError`."""
        self._pauses = self._store.pauses(self._clock.now())
        self._say_paused(self._pauses)

    def begin(self, member: Member) -> None:
        """Tell a member that is new what it is to obey."""
        now = self._clock.now()
        member.pause = pause_of(member.collector, self._pauses, now)
        if member.pause is not None:
            member.agenda.missed_since(member.pause.since, now)

    def obey(self) -> None:
        """Take up what has changed in the store, and have the members obey."""
        now = self._clock.now()
        before, self._pauses = self._pauses, self._store.pauses(now)
        self._say_paused(each for each in self._pauses if each not in before)
        left = {(each.of, each.name) for each in self._pauses}
        self._say_resumed(each for each in before if (each.of, each.name) not in left)
        for key, member in list(self._members.items()):
            with member.lock:
                member.obey(pause_of(member.collector, self._pauses, now), now)
            self._wake(key)

    def look(self) -> None:
        """Say which pauses have ended by the clock."""
        now = self._clock.now()
        over = [each for each in self._pauses if each.until is not None and each.until <= now]
        if over:
            self._pauses = [each for each in self._pauses if each not in over]
            self._say_resumed(over)

    def _say_paused(self, pauses: Iterable[Paused]) -> None:
        for each in pauses:
            _events.info("%s %s: paused %s", each.of, self._called(each), until_text(each))

    def _say_resumed(self, pauses: Iterable[Paused]) -> None:
        for each in pauses:
            _events.info("%s %s: resumed", each.of, self._called(each))

    def _called(self, pause: Paused) -> str:
        member = self._members.get(pause.name) if pause.of == "collector" else None
        return member.name if member else pause.name


def pause_of(collector: Collector, pauses: Iterable[Paused], now: datetime) -> Paused | None:
    """Return the pause that keeps a collector from being read, of several the longest."""
    names = {("collector", collector.id), ("source", collector.shared_source)}
    found = [
        each
        for each in pauses
        if (each.of, each.name) in names and (each.until is None or each.until > now)
    ]
    return max(found, key=lambda each: (each.until is None, each.until or now), default=None)


def until_text(pause: Paused) -> str:
    """Say until when something is paused, and why."""
    until = "until it is resumed" if pause.until is None else f"until {moment(pause.until)}"
    return f"{until} ({pause.reason})" if pause.reason else until
