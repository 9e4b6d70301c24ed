"""How a sink is: what the store and the log are told about it, each once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from attrs import evolve, frozen

from signals_core.clock import Clock
from signals_core.store import Store, StoreError

_log = logging.getLogger("signals")


@frozen
class _State:
    suspended_since: datetime | None = None
    reason: str | None = None
    failing_since: datetime | None = None


_WELL = _State()

# Behind one bad metric nothing may be pending for a moment, and then nothing tells it from a sink
# that refuses everything. What is read meanwhile does.
_LASTING = timedelta(seconds=10)


class Health:
    """The health of the sinks that share a connection.

    *Failing*: nothing can be brought to it, which is no error but an outage. *Suspended*: it can
    be reached and takes nothing at all, and that for more than 10 s; until then it fails. Either
    lasts until it has taken something, also over a restart. The store is told when there is room.
    """

    def __init__(self, name: str, names: Sequence[str], store: Store, clock: Clock) -> None:
        self._name = name
        self._names = names
        self._store = store
        self._clock = clock
        self._state = _WELL
        self._saved: dict[str, _State] = {}
        self._is_told = True
        self._has_said_failing = False
        self._has_said_suspended = False
        self._refuses_since: datetime | None = None
        self._refused_at = 0.0

    def load(self) -> None:
        """Go on from what an earlier process has left. Raises `StoreError`."""
        for line in self._store.outbox():
            if line.sink in self._names:
                state = _State(line.suspended_since, line.reason, line.failing_since)
                self._saved[line.sink] = state
                self._state = state if self._state == _WELL else self._state

    def well(self) -> None:
        """The sink has taken something."""
        self._refuses_since = None
        if self._state == _WELL and self._is_told:
            return
        if self._has_said_suspended:
            _log.warning("sink %s: takes metrics again", self._name)
        elif self._has_said_failing:
            _log.info("sink %s: can be reached again", self._name)
        self._has_said_failing = self._has_said_suspended = False
        self._become(_WELL)

    def failing(self, reason: str) -> None:
        """Nothing could be brought to the sink."""
        if not (self._has_said_failing or self._has_said_suspended):
            _log.warning("sink %s: %s (it is tried again, and nothing is lost)", self._name, reason)
        self._has_said_failing = True
        since = self._state.failing_since or self._clock.now()
        self._become(evolve(self._state, reason=reason, failing_since=since))

    def suspended(self, reason: str) -> None:
        """The sink has refused whatever it was given."""
        if self._refuses_since is None:
            self._refuses_since, self._refused_at = self._clock.now(), self._clock.monotonic()
        lasted = self._clock.monotonic() - self._refused_at
        since = self._state.suspended_since
        if since is None and lasted <= _LASTING.total_seconds():
            failing_since = self._state.failing_since or self._refuses_since
            self._become(evolve(self._state, reason=reason, failing_since=failing_since))
            return
        if not self._has_said_suspended:
            _log.error(
                "sink %s is suspended, for it takes nothing at all: %s (look at its address, its "
                "credentials and what it expects; it is tried again, and nothing is thrown away)",
                self._name,
                reason,
            )
        self._has_said_suspended = True
        self._become(_State(since or self._refuses_since, reason))

    def _become(self, state: _State) -> None:
        self._state = state
        try:
            for name in self._names:
                if self._saved.get(name, _WELL) != state:
                    self._store.set_sink_state(
                        name,
                        suspended_since=state.suspended_since,
                        reason=state.reason,
                        failing_since=state.failing_since,
                    )
                    self._saved[name] = state
            self._is_told = True
        except StoreError:  # told again with the next change; whoever must write complains
            self._is_told = False
