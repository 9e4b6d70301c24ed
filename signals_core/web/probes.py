"""Whether the process is alive, and whether it can do its work: for probes, in one line."""

from __future__ import annotations

from threading import Lock

from attrs import define, field

from signals_core.clock import Clock
from signals_core.errors import reason_of
from signals_core.runner import Runner
from signals_core.store import StoreError
from signals_core.web.app import Request, Response, line

LONGEST_PASS = 60.0
"""The seconds after which a timer that has not passed is taken to be dead."""

_TRIED_FOR = 5.0


@define(eq=False)
class Probes:
    """What `/healthz` and `/readyz` answer for a runner, which need not be started yet."""

    runner: Runner
    clock: Clock
    _tried_at: float | None = field(default=None, init=False)
    _trouble: str | None = field(default=None, init=False)
    _lock: Lock = field(factory=Lock, init=False)

    def alive(self, _: Request) -> Response:
        """Answer 503 when the timer does not pass: nothing falls due then, so restart it."""
        facts = self.runner.facts()
        if facts is None:
            return line("ok: not started yet, or stopping")
        if facts.pass_age > LONGEST_PASS:
            return line(f"the timer has not passed for {facts.pass_age:.0f} s", 503)
        return line("ok")

    def ready(self, _: Request) -> Response:
        """Answer 503 when it has not started, or the store cannot be written."""
        facts = self.runner.facts()
        if facts is None:
            return line("not started: it waits for its state directory, or is stopping", 503)
        # There may be room for what is tried, and none for a reading.
        trouble = self._store_trouble() or facts.store_trouble
        return line("ok") if trouble is None else line(trouble, 503)

    def _store_trouble(self) -> str | None:
        """Return why the store cannot be written, tried at most once in some seconds."""
        with self._lock:
            now = self.clock.monotonic()
            if self._tried_at is None or now - self._tried_at >= _TRIED_FOR:
                self._trouble = self._tried()
                self._tried_at = now
            return self._trouble

    def _tried(self) -> str | None:
        try:
            self.runner.try_store()
        except StoreError as error:
            return reason_of(error)
        return None
