"""What the log is told of runs: the same trouble once, however many collectors and tries it meets.

Nothing is said while all is well. What is made up is an event, like a start.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable
from datetime import timedelta
from threading import Lock

from signals_core.collector import Reading
from signals_core.coverage import Span
from signals_core.errors import reason_of
from signals_core.phrases import late
from signals_core.store import Committed, StoreError
from signals_core.window import Window, iso

_log = logging.getLogger("signals")
_events = logging.getLogger("signals.run")  # shown at every level, as starts and stops are

_SUSPICIOUS_LAG = timedelta(minutes=10)


class Remarks:
    """Remembers what has been said, until it is over."""

    def __init__(self) -> None:
        self._said: dict[Hashable, str] = {}
        self._lock = Lock()

    def read(
        self, name: str, source: Hashable, reading: Reading, committed: Committed, failed: int = 0
    ) -> None:
        """A reading was made and stored; so many windows of the collector are `failed` still."""
        if not failed:
            self._is_over("failed", name)
        if self._is_over("store"):
            _log.info("the store can be written again")
        if self._is_over("source", source):
            _log.info("%s: its source can be reached again", name)
        for text in filter(None, (*reading.warnings, committed.note)):
            _log.info("%s: %s", name, text)
        for sink in committed.sent:
            self._is_over("dropped", sink)
        for sink in committed.dropped:
            if self._is_news("", "dropped", sink):
                _log.error("%s: the outbox of %s is full: it misses a reading", name, sink)

    def failed(self, name: str, error: Exception) -> None:
        """A read of a snapshot failed."""
        _tell(self._is_news(reason_of(error), "failed", name), name, error)

    def window_failed(
        self, name: str, window: Window, error: Exception, failed: int, *, is_known: bool
    ) -> None:
        """A window failed, with which so many are; `is_known`: for the same reason before.

        Where others fail for the reason that was told last, the 10th is told, the 100th and so on.
        """
        is_news = self._is_news(reason_of(error), "failed", name)
        if not is_known and not is_news and _is_power_of_ten(failed):
            told = f"{name}: {failed} windows have failed by now, the last of them {window}"
            _tell(True, told, error)  # noqa: FBT003 - as above
        else:
            _tell(is_news and not is_known, f"{name}: window {window}", error)

    def unreachable(self, name: str, source: Hashable, error: Exception, *, is_known: bool) -> None:
        """A source could not be reached; `is_known`: for this collector not for the first time."""
        is_news = not is_known and self._is_news("", "source", source)
        _tell(is_news, name, error)

    def cannot_store(self, name: str, error: StoreError) -> None:
        """Something could not be written."""
        _tell(self._is_news("", "store"), name, error)

    def full_outbox(self, sink: str, *, is_full: bool) -> None:
        """A windowed collector asked whether there is room for a sink."""
        if not is_full and self._is_over("full", sink):
            _log.info("sink %s: its outbox has room again", sink)
        elif is_full and self._is_news("", "full", sink):
            _log.error("sink %s: its outbox is full: windowed collectors wait for it", sink)

    def lag(self, name: str, source: Hashable, lag: timedelta, *, is_waiting: bool) -> None:
        """A source shows its data up to so long ago; `is_waiting`: a window is due but for that."""
        if lag <= _SUSPICIOUS_LAG:
            self._is_over("lag", source)
        elif is_waiting and self._is_news("", "lag", source):
            _log.warning(
                "%s: the source shows its data up to %s ago only: it is behind, or the clock here "
                "is ahead; windows wait for it", name, late(lag),
            )  # fmt: skip

    def missed(self, name: str, count: int, span: Span | None, *, failed: int) -> None:
        """A windowed collector has so many to make up; those that failed are not among them."""
        if span is None:
            if self._is_over("missed", name):
                if failed:
                    _events.info("%s: has caught up, but for failed windows: %d", name, failed)
                else:
                    _events.info("%s: has caught up", name)
        elif count > 1 and self._is_news("", "missed", name):
            _events.info("%s: makes up %d windows, from %s to %s", name, count, *map(iso, span))

    def dropped(self, name: str, count: int) -> None:
        """So many ticks of a snapshot collector came while a run was under way."""
        if not count:
            self._is_over("ticks", name)
        elif self._is_news("", "ticks", name):
            _log.warning("%s: dropped ticks that came while a run was under way: %d", name, count)

    def missed_ticks(self, name: str, count: int) -> None:
        """Ticks of a snapshot collector came while it was paused."""
        _events.info("%s: ticks missed while paused: %d", name, count)

    def _is_news(self, text: str, *about: Hashable) -> bool:
        with self._lock:
            is_news = self._said.get(about) != text
            self._said[about] = text
        return is_news

    def _is_over(self, *about: Hashable) -> bool:
        with self._lock:
            return self._said.pop(about, None) is not None


def _is_power_of_ten(count: int) -> bool:
    return count > 1 and str(count).strip("0") == "1"


def _tell(is_news: bool, name: str, error: Exception) -> None:  # noqa: FBT001 - it says itself
    level = logging.ERROR if is_news else logging.DEBUG
    traced = error if _log.isEnabledFor(logging.DEBUG) else None
    _log.log(level, "%s: %s", name, reason_of(error), exc_info=traced)
