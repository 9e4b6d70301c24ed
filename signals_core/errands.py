"""Errands: what the daemon is asked to do beside its schedules, by whom it serves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from signals_core.agenda import Windows
from signals_core.attempts import Attempts
from signals_core.backfill import Progress, Span
from signals_core.chores import perform
from signals_core.clock import Clock
from signals_core.errors import SignalsError, Unavailable, reason_of
from signals_core.lanes import Lane
from signals_core.member import Member, Shown, Turn
from signals_core.pausing import until_text
from signals_core.store import Requested, Store, StoreError
from signals_core.turns import Turns
from signals_core.window import Window

_log = logging.getLogger("signals")

_LOOK_SECONDS = 1.0
_DELIVERY_SECONDS = 0.1
_PATIENCE_SECONDS = 10.0
_TRIES = 3

Told = Callable[[Progress], None]


class Errands:
    """Carries out what is asked for in the store; a backfill goes on where it was ended.

    `failures` says how often a sink has failed since it took something. `on_performed` is told what
    was done, before who asked for it is. Who is `alone` has no schedules beside: only what is asked
    for is read.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        attempts: Attempts,
        members: Mapping[str, Member],
        turns: Turns,
        failures: Callable[[str], int],
        on_performed: Callable[[str], None],
        *,
        alone: bool,
    ) -> None:
        self.lane = Lane("backfill", 1, clock)
        self._store = store
        self._clock = clock
        self._attempts = attempts
        self._members = members
        self._turns = turns
        self._changed = turns.changed
        self._failures = failures
        self._on_performed = on_performed
        self._is_alone = alone
        self._under_way: dict[int, Progress | None] = {}

    def serve(self) -> None:
        """Carry out what was asked for, and begin backfills."""
        for request in self._store.requests():
            if request.kind != "backfill":
                self._perform(request)
            elif request.id not in self._under_way and not self._must_wait(request):
                self._under_way[request.id] = None
                self.lane.submit(partial(self._carry_on, request))

    def follow(self, request_id: int, told: Told) -> Progress:
        """Wait until a backfill is finished, or the daemon is told to stop.

        Raises `SignalsError` when it could not be carried out.
        """
        said = 0
        while True:
            request = self._request(request_id)
            progress = Progress.of(request.progress) if request.progress else Progress(0)
            if progress.done > said:
                said = progress.done
                told(progress)
            if request.finished is not None and request.outcome != "done":
                raise SignalsError(request.outcome)
            if request.finished is not None or self._attempts.stopping:
                return progress
            with self._changed:
                self._clock.wait(self._changed, _LOOK_SECONDS)

    def do(self, request_id: int, told: Told) -> Progress:
        """Do a backfill in this thread; nothing else is read meanwhile.

        Raises `Unavailable` where its source, or a sink whose outbox is full, is not to be had.
        """
        request = self._request(request_id)
        progress, trouble = self._work(request, told)
        if trouble is not None:
            raise Unavailable(trouble)
        self._finish(request, "done", progress)
        return progress

    def wait_until_delivered(self, collector_id: str) -> bool:
        """Wait until sinks have taken what a collector has read; False when one does not.

        What others have read, and a sink has not taken yet, is not waited for.
        """
        sinks = set(self._members[collector_id].sinks)
        patience = self._clock.monotonic() + _PATIENCE_SECONDS
        while not self._attempts.stopping:
            waiting = sinks.intersection(self._store.waiting_for(collector_id))
            if not waiting:
                return True
            late = self._clock.monotonic() > patience  # for one that is tried again much later
            if self._is_shut(waiting, tries=1 if late else _TRIES):
                break
            with self._changed:
                self._clock.wait(self._changed, _DELIVERY_SECONDS)
        return False

    def _perform(self, request: Requested) -> None:
        now = self._clock.now()
        try:
            done = perform(self._store, request.kind, request.arguments, now)
            self._on_performed(request.kind)
        except StoreError:
            raise
        except (SignalsError, LookupError, ValueError, TypeError) as error:
            self._store.finish_request(request.id, reason_of(error), at=now)
        else:
            self._store.finish_request(request.id, "done", done, at=now)

    def _must_wait(self, request: Requested) -> bool:
        """Whether a backfill is paused, its source not to be asked yet, or a sink without room."""
        member = self._members.get(str(request.arguments.get("collector")))
        if member is None:
            return False
        if member.is_paused(self._clock.now()):
            return True
        with member.lock:
            until = member.agenda.unreachable.until
        return (until is not None and until > self._clock.now()) or self._attempts.is_held_up(
            member
        )

    def _carry_on(self, request: Requested) -> None:
        """Do a backfill as far as it goes; what is left is begun again when it may go on."""
        try:
            progress, trouble = self._work(request, lambda _: None)
            if trouble is None:
                self._finish(request, "done", progress)
        except StoreError as error:
            _log.debug("a backfill could not go on: %s", reason_of(error))
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            self._finish(request, reason_of(error), None)
        finally:
            del self._under_way[request.id]

    def _finish(self, request: Requested, outcome: str, progress: Progress | None) -> None:
        facts = None if progress is None else progress.facts
        self._store.finish_request(request.id, outcome, facts, at=self._clock.now())
        with self._changed:
            self._changed.notify_all()

    def _work(self, request: Requested, told: Told) -> tuple[Progress, str | None]:
        """Read window after window; return how far it is, and what kept it from the end."""
        span = Span.of(request.arguments)
        member = self._members.get(span.collector)
        if member is None or not isinstance(member.agenda, Windows):
            raise LookupError(f"there is no windowed collector with the id {span.collector!r}")
        if unknown := set(span.sinks or ()) - set(member.sinks):
            raise LookupError(f"{member.name} has no sink {min(unknown)!r}")
        grain, coverage = member.agenda.grain, member.agenda.coverage
        if request.progress:
            progress = Progress.of(request.progress)
        else:
            progress = Progress(sum(1 for _ in span.windows(grain, coverage)))
        turn = Turn()
        for window in span.windows(grain, coverage, progress.until):
            turn = self._past(member, window, span, turn.shown)
            if turn.outcome is None:
                return progress, turn.trouble or "signals is stopping"
            progress.add(window, turn.outcome)
            self._store.progress_request(request.id, progress.facts)
            told(progress)
        progress.total = progress.done  # of those that failed, some were made up meanwhile
        return progress, None

    def _past(self, member: Member, window: Window, span: Span, shown: Shown | None) -> Turn:
        """Run one past window when nothing else is due; `shown` is of the one before."""
        while not self._attempts.stopping:
            if not _has(member, window):
                raise SignalsError(f"{member.name} was taken out, or has another grain now")
            if (paused := self._paused(member)) is not None:
                return Turn(trouble=paused)
            if self._attempts.is_held_up(member):
                if not self._is_alone or self._is_shut(member.sinks):
                    return Turn(trouble="the outbox of one of its sinks is full")
                self._wait_until(
                    lambda: not self._attempts.is_held_up(member) or self._is_shut(member.sinks)
                )
                continue
            turn = Turn(shown=shown)
            job = partial(self._try_past, member, turn, window, span)
            member.lane.submit(job, urgent=False)
            self._wait_until(partial(_is_over, turn))
            if turn.is_taken:
                return turn
            self._wait_until(
                lambda: self._is_free(member) or member.is_removed or self._paused(member)
            )
        return Turn()

    def _paused(self, member: Member) -> str | None:
        """Return what is to be said of a member's pause; None when there is none."""
        pause = member.pause if member.is_paused(self._clock.now()) else None
        return (
            f"the {pause.of} {pause.name} is paused {until_text(pause)}: `signals resume` ends that"
            if pause
            else None
        )

    def _try_past(self, member: Member, turn: Turn, window: Window, span: Span) -> None:
        """Run one past window, unless something else came first while this one queued."""
        try:
            if member.take(turn, lambda: self._is_free(member) and _has(member, window)):
                self._attempts.past(member, turn, window, span.sinks)
        finally:
            self._turns.end(member, turn)

    def _is_free(self, member: Member) -> bool:
        if member.turn is not None or member.is_paused(self._clock.now()):
            return False
        agenda = member.agenda
        return self._is_alone or not (
            isinstance(agenda, Windows) and agenda.is_ready(self._clock.now())
        )

    def _is_shut(self, sinks: Iterable[str], *, tries: int = _TRIES) -> bool:
        """Whether one of the sinks has failed so often, and taken nothing since."""
        return any(self._failures(sink) >= tries for sink in sinks)

    def _wait_until(self, is_over: Callable[[], object]) -> None:
        with self._changed:
            while not (is_over() or self._attempts.stopping):
                self._clock.wait(self._changed, _LOOK_SECONDS)

    def _request(self, request_id: int) -> Requested:
        requests = self._store.requests(open_only=False)
        return next(each for each in requests if each.id == request_id)


def _is_over(turn: Turn) -> bool:
    return turn.is_over


def _has(member: Member, window: Window) -> bool:
    """Whether a window is one of those that a member reads, which may change under way."""
    agenda = member.agenda
    if member.is_removed or not isinstance(agenda, Windows):
        return False
    return agenda.grain.window(window.start) == window
