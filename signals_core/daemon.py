"""The daemon: what a started `Runner` is made of.

A timer fires as agendas say, a lane for each source runs what has come, a courier for each sink
delivers, and the store is between them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from threading import Condition
from typing import Self

from signals_core.agenda import Windows
from signals_core.attempts import Attempts
from signals_core.backfill import Progress, Span, ask
from signals_core.clock import Clock
from signals_core.couriers import Couriers
from signals_core.errands import Errands, Told
from signals_core.errors import Unavailable, reason_of
from signals_core.facts import CollectorFacts, Facts
from signals_core.lanes import Lane
from signals_core.member import Member, Turn
from signals_core.pausing import Pausing
from signals_core.reload import Wired
from signals_core.roster import Roster
from signals_core.store import Store, StoreError, TakenUp
from signals_core.tally import Tally
from signals_core.timer import Timer
from signals_core.turns import Turns
from signals_core.versions import Versions

_log = logging.getLogger("signals")

_LOOK = timedelta(seconds=1)
_PRUNE = timedelta(hours=1)
_OBEY_SECONDS = 10.0


class Daemon:
    """Runs collectors as they fall due and has delivered what they read.

    One with `on_schedule` False only does what it is asked for.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        versions: Versions,
        tally: Tally,
        *,
        on_schedule: bool = True,
    ) -> None:
        self._store = store
        self._clock = clock
        self._tally = tally
        self._on_schedule = on_schedule
        self._timer = Timer(clock)
        self._members: dict[str, Member] = {}
        self._changed = Condition()
        self._couriers = Couriers(store, clock, tally=tally)
        self._turns = Turns(
            self._timer, clock, self._changed, self._attempt, self._settle, self._couriers.wake
        )
        self._pausing = Pausing(store, clock, self._members, self._timer.wake)
        self._attempts = Attempts(store, clock, versions, tally, on_given_up=self._turns.end)
        self._roster = Roster(
            store, clock, versions, self._turns, self._pausing, self._members,
            on_schedule=on_schedule,
        )  # fmt: skip
        self._errands = Errands(
            store, clock, self._attempts, self._members, self._turns,
            self._couriers.failures, self._was_done, alone=not on_schedule,
        )  # fmt: skip
        self._late, self._asked, self._old = (
            Lane(name, 1, clock) for name in ("late reads", "requests", "old readings")
        )
        self._pausing.load()

    @classmethod
    def open(
        cls,
        state_dir: Path,
        clock: Clock,
        versions: Versions,
        tally: Tally,
        wait_lock: float,
        *,
        on_schedule: bool = True,
    ) -> Self:
        """Take hold of the state directory. Raises `StoreError`."""
        store = Store.open(state_dir, wait_seconds=wait_lock)
        return cls(store, clock, versions, tally, on_schedule=on_schedule)

    def add(self, wired: Sequence[Wired]) -> None:
        """Take collectors up: their coverage and versions go on where they were."""
        for each in wired:
            self._couriers.add(each.named_sinks)
            self._roster.add(self._roster.form_of(each), len(wired))

    def reload(self, wired: Sequence[Wired], unchanged: Collection[str]) -> None:
        """Run these collectors from now on and no others; those that are `unchanged` go on.

        Nothing changes when it raises `StoreError`.
        """
        changed = [each for each in wired if each.collector.id not in unchanged]
        forms = [self._roster.form_of(each) for each in changed]
        self._roster.reload()
        sinks = {name: sink for each in wired for name, sink in each.named_sinks.items()}
        self._take_up_sinks(sinks)
        self._couriers.replace(sinks)
        for key in self._members.keys() - {each.collector.id for each in wired}:
            self._roster.remove(key)
        for form in forms:
            if form.collector.id in self._members:
                self._roster.change(form)
            else:
                self._roster.add(form, len(forms))
        self._roster.retain(each.source for each in wired)
        with self._changed:
            self._changed.notify_all()

    def note_configuration(self, taken: TakenUp) -> None:
        """Keep how the configuration was read, for those who look. Raises `StoreError`."""
        self._store.take_up(taken)

    def start(self) -> None:
        """Start the threads."""
        self._take_up_sinks(self._couriers.names)
        self._couriers.start()
        self._timer.add("a look at late reads", _every(_LOOK), self._look_at_late)
        if self._on_schedule:
            self._timer.add("a look at requests", _every(_LOOK), self._look_at_requests)
            self._timer.add("old readings", _every(_PRUNE), self._look_at_old)
            self._look_at_old()
        self._timer.start()

    def stop(self, seconds: float) -> None:
        """Let running reads finish for so many seconds, then cancel them at their sources.

        A read that does not obey is given up: nothing comes of it. Raises `StoreError`, once all is
        over, where the store's file was deleted or replaced, and says where what it held is kept.
        """
        deadline = self._clock.monotonic() + seconds
        self._attempts.stopping = True
        with self._changed:
            self._changed.notify_all()
        self._timer.stop()
        lanes = [*self._roster.lanes, self._errands.lane, self._late, self._asked, self._old]
        for lane in lanes:
            lane.close()
        if not self._join(lanes, deadline):
            self._attempts.watch.cancel("signals is stopping")
            if not self._join(lanes, self._clock.monotonic() + _OBEY_SECONDS):
                self._attempts.watch.give_up()
        self._couriers.stop(max(deadline - self._clock.monotonic(), _OBEY_SECONDS))
        try:
            self._store.save(self._clock.now())
        finally:
            self._store.close()

    def close(self) -> None:
        """Let go of the state directory; for a daemon that was not started."""
        self._store.close()

    def backfill(self, span: Span, told: Told) -> Progress:
        """Read past windows, oldest first; `told` is called as it goes on.

        What falls due meanwhile comes before them, and it goes on when the source is back. Returns
        when all are read, or when the daemon is told to stop. A daemon that has no schedules
        returns when all is delivered too, and raises `Unavailable` when that cannot be.
        """
        (request_id,) = ask(self._store, [span], self._clock.now())
        if self._on_schedule:
            return self._errands.follow(request_id, told)
        progress = self._errands.do(request_id, told)
        if not self._errands.wait_until_delivered(span.collector):
            raise Unavailable("a sink does not take what was read: it stays pending")
        return progress

    def facts(self) -> Facts:
        """Return what is known here and not in the store. Waits for nothing."""
        return Facts(
            at=self._clock.now(),
            pass_age=self._clock.monotonic() - self._timer.passed_at,
            collectors={key: self._facts_of(each) for key, each in dict(self._members).items()},
            sinks=self._couriers.names,
            tally=self._tally,
            commits=self._store.commits,
            store_trouble=self._store.trouble,
            store_size_bytes=self._store.size_bytes,
            outbox_limit_bytes=self._store.limit_bytes,
        )

    def try_store(self) -> None:
        """Write to the store, changing nothing. Raises `StoreError` when it cannot be written."""
        self._store.try_to_write()

    def check_place(self) -> None:
        """Raise `StoreError` where the store's file was deleted or replaced."""
        self._store.check_place()

    def _facts_of(self, member: Member) -> CollectorFacts:
        agenda, turn = member.agenda, member.turn
        windows = agenda if isinstance(agenda, Windows) else None
        return CollectorFacts(
            collector=member.collector,
            next_run=self._timer.next_run(member.collector.id),
            running_since=None if turn is None else turn.began,
            coverage=None if windows is None else windows.coverage,
            horizon=None if windows is None else windows.horizon,
            watermark=member.watermark,
            pause=member.pause if member.is_paused(self._clock.now()) else None,
        )

    def _join(self, lanes: list[Lane], deadline: float) -> bool:
        done = [lane.join(deadline - self._clock.monotonic()) for lane in lanes]
        return all(done)

    def _take_up_sinks(self, names: Iterable[str]) -> None:
        """Tell the store which sinks there are. One that has no schedules need not know all."""
        before = {line.sink: line for line in self._store.outbox()}
        others = [line.sink for line in before.values() if not line.orphaned]
        self._store.set_sinks(dict.fromkeys((*names, *([] if self._on_schedule else others))))
        for line in self._store.outbox():
            known = self._couriers.has_started and before.get(line.sink)
            if line.orphaned and self._on_schedule and not (known and known.orphaned):
                _log.warning(
                    "the sink %s is no longer configured and has %d metrics pending (they go out "
                    "when the name returns, or end by `signals outbox drop`)",
                    line.sink, line.metrics,
                )  # fmt: skip

    def _settle(self, member: Member) -> None:
        self._roster.settle(member)

    def _attempt(self, member: Member, turn: Turn) -> None:
        if not self._attempts.stopping:
            self._attempts.scheduled(member, turn)

    def _was_done(self, kind: str) -> None:
        """Take up what has changed in the store by request."""
        if kind in ("pause", "resume"):
            self._pausing.obey()
        else:
            self._couriers.wake(self._couriers.names)

    def _look_at_late(self, _tick: datetime) -> None:
        if self._attempts.watch.has_late:
            self._late.submit_if_idle(self._attempts.watch.look)

    def _look_at_requests(self, _tick: datetime) -> None:
        self._pausing.look()
        self._asked.submit_if_idle(self._serve)

    def _look_at_old(self, _tick: datetime | None = None) -> None:
        self._old.submit_if_idle(self._prune)

    def _serve(self) -> None:
        try:
            self._errands.serve()
        except StoreError as error:  # it is asked again in a second
            _log.debug("requests could not be served: %s", reason_of(error))

    def _prune(self) -> None:
        try:
            self._store.prune(self._clock.now())
        except StoreError as error:
            _log.error("old readings could not be cleared: %s", reason_of(error))


def _every(period: timedelta) -> Callable[[datetime], datetime]:
    """Return when a chore comes next: so long after it was asked."""
    return lambda now: now + period
