"""Readings committed to a real store, and what becomes of them at sinks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import timedelta
from itertools import count
from pathlib import Path

from attrs import define, field

from parts.metrics import metric
from signals_core import Batch, Rejected, Sink
from signals_core.collector import Reading
from signals_core.connections import Connection
from signals_core.couriers import Couriers
from signals_core.metric import Metrics
from signals_core.store import Run, Store
from signals_core.testing import SimulatedClock

Answer = Callable[[Batch], object]


def take(_batch: Batch) -> None:
    """Accept whatever comes."""


@define(eq=False)
class Told(Sink):
    """Records what it is asked to take, and takes what `answer` does not raise about."""

    answer: Answer = field(init=False, default=take)
    tried: list[Batch] = field(init=False, factory=list)
    taken: list[bytes] = field(init=False, factory=list)
    opened: int = field(init=False, default=0)

    def open(self):
        self.opened += 1

    def write(self, batch):
        self.tried.append(batch)
        self.answer(batch)
        self.taken += batch.encoded

    @property
    def values(self) -> list[int]:
        """The values taken, in order, each time they were."""
        return [value_of(line) for line in self.taken]


def value_of(line: bytes) -> int:
    """Return a metric's value without decoding the rest."""
    return int(line[line.index(b'"value":') + 8 :].split(b",", 1)[0])


def refuse(bad: Collection[int], *, by_index: bool = False) -> Answer:
    """Refuse batches that hold one of these values, with or without saying which."""

    def answer(batch: Batch) -> None:
        guilty = [index for index, line in enumerate(batch.encoded) if value_of(line) in bad]
        if guilty:
            words = f"no {value_of(batch.encoded[guilty[0]])} here"
            raise Rejected(words, guilty if by_index else None)

    return answer


def refuse_all(_batch: Batch) -> None:
    """Refuse whatever comes."""
    raise Rejected("who are you?")


class Outgoing:
    """A store on disk, a clock that a test moves, and couriers between them.

    Every metric has a value of its own, by which a test tells it.
    """

    def __init__(self, folder: Path, *, random: Callable[[float, float], float]) -> None:
        self.clock = SimulatedClock()
        self.store = Store.open(folder)
        self.couriers = Couriers(self.store, self.clock, random=random)
        self._versions = count(1)

    def read(
        self,
        values: Iterable[int],
        *,
        collector: str = "core.test",
        sinks: Iterable[str] = ("lake",),
        name: str = "core.users.signups",
    ) -> None:
        """Commit a reading of a collector, and wake the couriers as the runner does."""
        timestamp = self.clock.now() + next(self._versions) * timedelta(microseconds=1)
        metrics = Batch(
            metric(value, name=name, collector=collector, timestamp=timestamp).encode()
            for value in values
        )
        committed = self.store.commit(
            Reading(collector, timestamp, None, Metrics([metrics]), len(metrics)),
            run=Run(
                collector=collector,
                name=collector,
                origin="test",
                started=self.clock.now(),
                outcome="read",
            ),
            sinks=list(sinks),
        )
        self.couriers.wake(committed.sent)

    def deliver(self, **sinks: Sink) -> None:
        """Start a courier for each sink."""
        self.couriers.add({name: Connection(sink, 1) for name, sink in sinks.items()})
        self.couriers.start()
        self.clock.settle()

    def dead(self, sink: str = "lake") -> dict[int, str]:
        """The values that lie in the dead letters, with the receiver's words."""
        return {each.metric.value: each.reason for each in self.store.dead_letters(sink)}

    def pending(self, sink: str = "lake") -> int:
        """How many metrics wait for a sink."""
        return sum(line.metrics for line in self.store.outbox() if line.sink == sink)

    def close(self) -> None:
        self.couriers.stop(5)
        self.store.close()
