"""The tally: what a process has counted of its runs and writes since it began."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate
from threading import Lock

from attrs import define, field

RUN_SECONDS = (0.1, 1.0, 10.0, 60.0)  # few, since each collector has them
WRITE_SECONDS = (0.005, 0.025, 0.1, 0.5, 2.0, 10.0, 60.0)
COMMIT_SECONDS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.0, 10.0)


class Histogram:
    """Durations in seconds, counted by the bounds that they do not exceed."""

    def __init__(self, bounds: Iterable[float]) -> None:
        self.bounds = tuple(bounds)
        self.sum = 0.0
        self._counts = [0] * (len(self.bounds) + 1)

    def observe(self, seconds: float) -> None:
        """Count one."""
        self._counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds

    @property
    def counts(self) -> list[int]:
        """How many did not exceed each bound, and last how many there were."""
        return list(accumulate(self._counts))


@define
class RunTally:
    """The runs of one collector."""

    outcomes: Counter[str] = field(factory=Counter)
    seconds: Histogram = field(factory=lambda: Histogram(RUN_SECONDS))
    rows: int = 0
    metrics: int = 0
    dropped_ticks: int = 0


@define
class WriteTally:
    """The writes to one sink."""

    outcomes: Counter[str] = field(factory=Counter)
    seconds: Histogram = field(factory=lambda: Histogram(WRITE_SECONDS))
    metrics: int = 0


class Tally:
    """Counts, from any thread; whoever looks may find a count that is a moment behind another."""

    def __init__(self) -> None:
        self.runs: dict[str, RunTally] = {}
        self.writes: dict[str, WriteTally] = {}
        self._lock = Lock()

    def runs_of(self, collector: str) -> RunTally:
        """Return what was counted of a collector, by its id."""
        return self.runs.get(collector) or RunTally()

    def writes_of(self, sink: str) -> WriteTally:
        """Return what was counted of a sink."""
        return self.writes.get(sink) or WriteTally()

    def run(
        self,
        collector: str,
        outcome: str,
        seconds: float,
        *,
        rows: int = 0,
        metrics: int = 0,
    ) -> None:
        """Count a run of a collector, by its id."""
        with self._lock:
            of = self.runs.setdefault(collector, RunTally())
            of.outcomes[outcome] += 1
            of.seconds.observe(seconds)
            of.rows += rows
            of.metrics += metrics

    def dropped_ticks(self, collector: str, count: int) -> None:
        """Count ticks that came while a run was under way."""
        with self._lock:
            self.runs.setdefault(collector, RunTally()).dropped_ticks += count

    def write(self, counts: Mapping[str, int], outcome: str, seconds: float) -> None:
        """Count a write to sinks that share a connection, by how many metrics are of which."""
        with self._lock:
            for name, metrics in counts.items():
                of = self.writes.setdefault(name, WriteTally())
                of.outcomes[outcome] += 1
                of.seconds.observe(seconds)
                of.metrics += metrics if outcome == "accepted" else 0
