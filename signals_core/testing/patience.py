"""Calling what may not return, and waiting for it no longer than one's patience."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from signals_core.testing.promise import Seen

T = TypeVar("T")


class Call(Generic[T]):
    """A call in a thread of its own, begun when it is made.

    The thread is a daemon: one that never ends keeps nobody from finishing.
    """

    def __init__(self, call: Callable[[], T], what: str) -> None:
        self._call = call
        self._what = what
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._done = threading.Event()
        threading.Thread(target=self._run, name=f"kit {what}", daemon=True).start()

    def ends_within(self, seconds: float) -> bool:
        """Wait, and return whether the call has returned or raised."""
        return self._done.wait(seconds)

    def wait(self) -> None:
        """Wait until the call has returned or raised, however long that takes."""
        self._done.wait()

    def result(self, seconds: float) -> T:
        """Return what the call returns, or raise what it raises, or `Seen` when it is too long."""
        if not self._done.wait(seconds):
            raise Seen(f"{self._what} still went on after {seconds:g} s")
        if self._error is not None:
            raise self._error
        return self._result[0]

    def error(self, seconds: float) -> BaseException | None:
        """Return what the call raises, None when it returns; `Seen` when it takes too long."""
        try:
            self.result(seconds)
        except Seen:
            if not self._done.is_set():
                raise
        except BaseException as error:  # noqa: BLE001 - it is what was asked for
            return error
        return None

    def _run(self) -> None:
        try:
            self._result.append(self._call())
        except BaseException as error:  # noqa: BLE001 - handed to who waits for it
            self._error = error
        self._done.set()
