"""The couriers of a daemon, one for each connection; which there are may change while they work."""

from __future__ import annotations

import random as randomness
from collections.abc import Iterable, Mapping, Sequence

from signals_core.clock import Clock
from signals_core.connections import Connection
from signals_core.courier import Courier, Uniform
from signals_core.plugin import Sink
from signals_core.store import Store
from signals_core.tally import Tally


class Couriers:
    """All couriers of a runner, one for each connection."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        tally: Tally | None = None,
        random: Uniform = randomness.uniform,
    ) -> None:
        self._store = store
        self._clock = clock
        self._tally = tally or Tally()
        self._random = random
        self._served: dict[Connection[Sink], list[str]] = {}
        self._by_name: dict[str, Courier] = {}
        self._leaving: list[Courier] = []

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all sinks."""
        return tuple(name for names in self._served.values() for name in names)

    @property
    def has_started(self) -> bool:
        """Whether they are at work."""
        return bool(self._by_name)

    def add(self, sinks: Mapping[str, Connection[Sink]]) -> None:
        """Take up sinks, before `start`; a name that is there already is passed over."""
        _serve(self._served, sinks)

    def start(self) -> None:
        """Start them all."""
        for connection, names in self._served.items():
            self._start(names, connection)

    def replace(self, sinks: Mapping[str, Connection[Sink]]) -> None:
        """Serve these sinks from now on, and no others; those that stay as they are go on.

        One that is no longer needed ends with the write that is under way, and the one that takes
        its place begins then.
        """
        served: dict[Connection[Sink], list[str]] = {}
        _serve(served, sinks)
        couriers = set(self._by_name.values())
        staying = {
            each.connection: each
            for each in couriers
            if set(served.get(each.connection, ())) == set(each.names)
        }
        for courier in couriers - set(staying.values()):
            courier.ask_to_stop()
            self._leaving.append(courier)
        self._leaving = [each for each in self._leaving if not each.has_ended()]
        self._served = served
        self._by_name = {name: each for each in staying.values() for name in each.names}
        for connection, names in served.items():
            if connection not in staying:
                self._start(names, connection)

    def _start(self, names: Sequence[str], connection: Connection[Sink]) -> None:
        before = [
            each
            for each in self._leaving
            if each.connection is connection or set(each.names) & set(names)
        ]
        courier = Courier(
            names,
            connection,
            self._store,
            self._clock,
            tally=self._tally,
            random=self._random,
            after=before,
        )
        self._by_name |= dict.fromkeys(names, courier)
        courier.start()

    def wake(self, names: Iterable[str]) -> None:
        """Say that something new is pending for these sinks; names not known are passed over."""
        for name in names:
            courier = self._by_name.get(name)
            if courier:
                courier.wake((name,))

    def failures(self, name: str) -> int:
        """Return how often a sink has failed since it took something, or since the start."""
        courier = self._by_name.get(name)
        return courier.failures if courier else 0

    def stop(self, seconds: float) -> bool:
        """Stop them all, within so many seconds together; False when one still writes."""
        couriers = [*dict.fromkeys(self._by_name.values()), *self._leaving]
        for courier in couriers:
            courier.ask_to_stop()
        deadline = self._clock.monotonic() + seconds
        return all(courier.stop(deadline - self._clock.monotonic()) for courier in couriers)


def _serve(
    served: dict[Connection[Sink], list[str]], sinks: Mapping[str, Connection[Sink]]
) -> None:
    """Add sinks to those that are served, by their connections."""
    for name, connection in sinks.items():
        names = served.setdefault(connection, [])
        if name not in names:
            names.append(name)
