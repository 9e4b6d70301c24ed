"""The roster: which members a daemon has, and what becomes of one whose collector has changed.

A member takes a new form between two turns, so that a run that is under way ends as what it began
as. One that is taken out stays known until its run has ended, should it come back before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from signals_core.agenda import Agenda, Snapshots, Windows
from signals_core.clock import Clock
from signals_core.connections import Connection
from signals_core.keys import key_of
from signals_core.lanes import Lane
from signals_core.member import Form, Member
from signals_core.pausing import Pausing
from signals_core.plugin import Source
from signals_core.reload import Wired
from signals_core.store import SUCCEEDED, Run, Store
from signals_core.ticks import spread_of
from signals_core.turns import Turns
from signals_core.versions import Versions


class Roster:
    """The members, by the ids of their collectors, and the lanes of their sources.

    Those of one that is not `on_schedule` run when they are asked to.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        versions: Versions,
        turns: Turns,
        pausing: Pausing,
        members: dict[str, Member],
        *,
        on_schedule: bool,
    ) -> None:
        self._store = store
        self._clock = clock
        self._versions = versions
        self._turns = turns
        self._pausing = pausing
        self._members = members
        self._on_schedule = on_schedule
        self._leaving: dict[str, Member] = {}
        self._lanes: dict[Connection[Source], Lane] = {}
        self._old_lanes: list[Lane] = []
        self._last_runs: Mapping[str, Run] = store.last_runs()

    @property
    def lanes(self) -> list[Lane]:
        """All lanes in which something may run."""
        return [*self._lanes.values(), *self._old_lanes]

    def form_of(self, wired: Wired) -> Form:
        """Return what a member is to be. Raises `StoreError`."""
        collector = wired.collector
        key = None if collector.window is None else key_of(collector)
        self._versions.heard(collector.id, self._store.last_version(collector.id))
        return Form(
            collector,
            wired.source,
            self._lane_of(wired.source),
            tuple(wired.named_sinks),
            key,
            None if key is None else self._store.coverage(key),
        )

    def add(self, form: Form, count: int) -> None:
        """Take up one of `count` collectors: its coverage and versions go on where they were."""
        key = form.collector.id
        leaving = self._leaving.pop(key, None)
        if leaving is not None and leaving.come_back():
            self._members[key] = leaving
            self.change(form)
        else:
            member = Member(
                form.collector,
                self._first_agenda(form, spread_of(count)),
                form.source,
                form.lane,
                form.sinks,
                form.key,
            )
            self._members[key] = member
            self._pausing.begin(member)
        if self._on_schedule:
            self._turns.add(self._members[key])

    def change(self, form: Form) -> None:
        """Have a member take a new form, as soon as it does not run."""
        member = self._members[form.collector.id]
        with member.lock:
            member.next_form = form
            self.settle(member)
        self._turns.wake(member)

    def remove(self, key: str) -> None:
        """Take a member out: a run that is under way ends, and no other comes."""
        self._leaving = {id_: each for id_, each in self._leaving.items() if each.turn is not None}
        member = self._members.pop(key)
        with member.lock:
            member.is_removed = True
        self._leaving[key] = member
        self._turns.remove(member)

    def settle(self, member: Member) -> None:
        """Give a member the form that waits for it, unless it runs; under its lock."""
        form = member.next_form
        if form is None or member.turn is not None:
            return
        now = self._clock.now()
        agenda = _next_agenda(member, form, now)
        member.collector, member.agenda, member.next_form = form.collector, agenda, None
        member.source, member.lane = form.source, form.lane
        member.sinks, member.key = form.sinks, form.key
        self._pausing.begin(member)

    def reload(self) -> None:
        """Take in what has been run since, before members are added."""
        self._last_runs = self._store.last_runs()

    def retain(self, sources: Iterable[Connection[Source]]) -> None:
        """Let go of the lanes of all other sources, as soon as nothing runs there."""
        gone = self._lanes.keys() - set(sources)
        self._old_lanes = [lane for lane in self._old_lanes if lane.is_busy]
        self._old_lanes += [self._lanes.pop(source) for source in gone]

    def _lane_of(self, source: Connection[Source]) -> Lane:
        if source not in self._lanes:
            name, slots = type(source.plugin).__name__, source.plugin.max_connections
            self._lanes[source] = Lane(name, slots, self._clock)
        return self._lanes[source]

    def _first_agenda(self, form: Form, most: timedelta) -> Agenda:
        collector, now = form.collector, self._clock.now()
        if form.key is not None:
            return Windows.starting(collector, form.coverage, now, most)
        last = self._last_runs.get(collector.id)
        has_read = last is not None and last.outcome in SUCCEEDED
        return Snapshots.starting(collector, last.started if last and has_read else None, now, most)


def _next_agenda(member: Member, form: Form, now: datetime) -> Agenda:
    """Return the agenda of a new form, which goes on where the old one is, and at once."""
    before = member.agenda
    if form.key is None:
        return Snapshots.following(form.collector, before, now)
    is_known = isinstance(before, Windows) and form.key == member.key
    known = before.coverage if isinstance(before, Windows) and is_known else form.coverage
    agenda = Windows.starting(form.collector, known, now)
    agenda.not_before = None
    return agenda
