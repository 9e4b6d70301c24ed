"""The workers that bring what is pending in the store to the sinks.

A courier packs what is pending, in order and across collectors, writes it, and acknowledges it in
one transaction. When it is killed between the two the batch is written again: at least once, with
the same uuids and versions. What it does about refusals is in `triage`.
"""

from __future__ import annotations

import logging
import random as randomness
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Condition, Thread
from traceback import format_exc
from typing import TypeVar

from signals_core.clock import Clock
from signals_core.connections import Connection
from signals_core.errors import Rejected, RetryAfter, reason_of
from signals_core.health import Health
from signals_core.metric import Batch
from signals_core.parcel import Outboxes, Parcel
from signals_core.plugin import Sink
from signals_core.secret import mask
from signals_core.store import Position, Store, StoreError
from signals_core.tally import Tally
from signals_core.triage import Progress, Triage

_log = logging.getLogger("signals")

T = TypeVar("T")
Uniform = Callable[[float, float], float]

_LOOK_SECONDS = 0.1
_LONGEST_PAUSE = 86_400.0  # that a receiver may ask for


class Courier:
    """Serves one connection, to which one or several of the store's sinks are brought.

    It has a thread between `start` and `stop`. Failures are tried again without end, after a
    pause between zero and 1 s, doubling up to 60 s, until something is taken; no sooner than
    `RetryAfter` asks. `failures` counts them since something was taken. It begins when those that
    it comes `after` have ended, which were asked to.
    """

    def __init__(
        self,
        names: Sequence[str],
        connection: Connection[Sink],
        store: Store,
        clock: Clock,
        *,
        tally: Tally | None = None,
        random: Uniform = randomness.uniform,
        after: Sequence[Courier] = (),
    ) -> None:
        self.names = tuple(names)
        self.connection = connection
        self._after = after
        self._tally = tally or Tally()
        self._clock = clock
        self._outboxes = Outboxes(self.names, store, clock, connection.plugin)
        self._insistent = _Insistent(self._outboxes, self._pause, _Backoff(random))
        self._health = Health(self._outboxes.name, self.names, store, clock)
        self._triage = Triage(self._insistent, self._write, lambda n: int(random(0, n)) % n)
        self._backoff = _Backoff(random)
        self._changed = Condition()
        self._thread: Thread | None = None
        self._is_stopping = False
        self._has_news = False
        self.failures = 0

    def start(self) -> None:
        """Start the thread, unless it runs."""
        with self._changed:
            if self._thread is None:
                self._is_stopping = False
                name = f"signals sink {self.names[0]}"
                self._thread = Thread(target=self._run, name=name, daemon=True)
                self._thread.start()

    def wake(self, names: Iterable[str] | None = None) -> None:
        """Say that something new is pending, for these names or for all; from any thread."""
        self._outboxes.wake(self.names if names is None else names)
        with self._changed:
            self._has_news = True
            self._changed.notify_all()

    def ask_to_stop(self) -> None:
        """Have the thread end as soon as a write that is under way has ended."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()

    def stop(self, seconds: float) -> bool:
        """Wait so many seconds at most for the thread to end; False when it has not.

        What it is about to write is then written, and again by the next process.
        """
        self.ask_to_stop()
        is_over = self.has_ended(seconds)
        with self._changed:
            if self._thread is not None:
                self.connection.abandon(self._thread)
        return is_over

    def has_ended(self, seconds: float = 0) -> bool:
        """Wait so many seconds at most for the thread to end, if there is one; whether it has."""
        deadline = self._clock.monotonic() + seconds
        with self._changed:
            while self._thread and (left := deadline - self._clock.monotonic()) > 0:
                self._clock.wait(self._changed, left)
            return self._thread is None

    def _run(self) -> None:
        try:
            self._wait_for_others()
            self._insistent.until_done(self._health.load)
            self._triage.interrupt()
            while not self._is_stopping:
                self._work()
        except _Stopped:
            pass
        finally:
            with self._changed:
                self._thread = None
                self._changed.notify_all()

    def _wait_for_others(self) -> None:
        for other in self._after:
            while not other.has_ended(_LOOK_SECONDS):
                if self._is_stopping:
                    raise _Stopped
        self._after = ()

    def _work(self) -> None:
        try:
            progress = self._triage.step()
        except _Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            self._fail(error)
            return
        if progress is Progress.IDLE:
            self._rest()
        elif progress is Progress.SUSPENDED:
            self.failures += 1
            self._health.suspended(self._triage.reason)
            self._pause(self._backoff.next())

    def _fail(self, error: Exception) -> None:
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("sink %s: %s", self._outboxes.name, mask(format_exc()))
        self.failures += 1
        self._triage.interrupt()
        self._health.failing(reason_of(error))
        asked = error.seconds if isinstance(error, RetryAfter) else 0.0
        self._pause(self._backoff.next(at_least=asked))

    def _write(self, batch: Batch, counts: Mapping[str, int]) -> Rejected | None:
        began, outcome = self._clock.monotonic(), "failed"
        try:
            with self.connection.use() as sink:
                sink.write(batch)
            outcome = "accepted"
        except Rejected as refusal:
            outcome = "rejected"
            return refusal
        finally:
            self._tally.write(counts, outcome, self._clock.monotonic() - began)
        self.failures = 0
        self._backoff.reset()
        self._health.well()
        return None

    def _rest(self) -> None:
        """Wait until there is something to do."""
        with self._changed:
            if not (self._has_news or self._is_stopping):
                self._clock.wait(self._changed, None)
            self._has_news = False

    def _pause(self, seconds: float) -> bool:
        """Wait so many seconds, which news do not shorten; False when it is to stop."""
        until = self._clock.monotonic() + seconds
        with self._changed:
            while not self._is_stopping and (left := until - self._clock.monotonic()) > 0:
                self._clock.wait(self._changed, left)
            return not self._is_stopping


class _Stopped(Exception):
    """The courier was told to stop while the store could not be written."""


class _Backoff:
    """Exponential backoff with full jitter."""

    def __init__(self, random: Uniform, base: float = 1.0, cap: float = 60.0) -> None:
        self._random = random
        self._base = base
        self._cap = cap
        self._limit = base

    def next(self, at_least: float = 0.0) -> float:
        """Return how long to pause before the next try."""
        seconds = self._random(0.0, self._limit)
        self._limit = min(2 * self._limit, self._cap)
        return min(max(seconds, at_least), _LONGEST_PAUSE)

    def reset(self) -> None:
        """Begin anew."""
        self._limit = self._base


class _Insistent:
    """Outboxes whose transactions are repeated until there is room for them.

    So what was written is not written again for want of an acknowledgement.
    """

    def __init__(
        self, outboxes: Outboxes, pause: Callable[[float], bool], backoff: _Backoff
    ) -> None:
        self._outboxes = outboxes
        self._pause = pause
        self._backoff = backoff

    def pack(self, after: Mapping[str, Position], metrics: int | None = None) -> Parcel | None:
        return self.until_done(lambda: self._outboxes.pack(after, metrics))

    def acknowledge(self, parcel: Parcel) -> None:
        self.until_done(lambda: self._outboxes.acknowledge(parcel))

    def bury(self, letters: Sequence[tuple[Parcel, str]]) -> None:
        self.until_done(lambda: self._outboxes.bury(letters))
        count = sum(len(parcel) for parcel, _ in letters)
        _log.warning(
            "sink %s: %d %s refused for good and kept as dead letters: %s",
            self._outboxes.name,
            count,
            "metric was" if count == 1 else "metrics were",
            letters[0][1],
        )

    def until_done(self, transaction: Callable[[], T]) -> T:
        """Return what a transaction returns. Raises `_Stopped` when there is no more time."""
        complained = False
        while True:
            try:
                done = transaction()
            except StoreError as error:
                if not complained:
                    _log.error("sink %s: %s", self._outboxes.name, reason_of(error))
                complained = True
                if not self._pause(self._backoff.next()):
                    raise _Stopped from error
            else:
                if complained:
                    _log.info("sink %s: the store can be used again", self._outboxes.name)
                self._backoff.reset()
                return done
