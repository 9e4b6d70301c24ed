"""A week of simulated time: what it costs in memory."""

from __future__ import annotations

import gc
import tracemalloc
from datetime import timedelta

from attrs import define, field

from parts.running import DAY, HOUR, Rig, at
from signals_core import Sink, Source
from signals_core.builtin.schedules import Cron


@define(eq=False)
class Numbers(Source):
    """Ten groups, and no memory of having been asked."""

    windowed: bool = True

    def parameters(self, query):
        return {"window_start", "window_end"} if self.windowed else set()

    def read(self, request):
        for group in range(10):
            yield {"value": group, "group": group}


@define(eq=False)
class Counter(Sink):
    """Counts, and keeps nothing."""

    count: int = field(init=False, default=0)

    def write(self, batch):
        self.count += len(batch)


def test_a_week_of_fifty_collectors(rig: Rig) -> None:
    """In a week of simulated time 50 collectors run, and memory stays where it was early on."""
    windowed, present, sink = Numbers(), Numbers(windowed=False), Counter()
    to = {"sinks": {"lake": sink}, "shared_sinks": ["lake"]}
    collectors = [
        rig.windowed(
            f"core.w{n}", grain="4h", source=windowed, start=at("2026-01-01"), revise=[HOUR], **to
        )
        for n in range(25)
    ] + [
        rig.snapshot(f"core.s{n}", schedule=Cron(f"{n} */4 * * *"), source=present, **to)
        for n in range(25)
    ]
    rig.start(*collectors)
    tracemalloc.start()
    try:
        sizes = []
        for days in (1, 1, 5):
            _leap(rig, days * DAY)
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert sink.count > 50 * 6 * 7 * 10 * 0.9
    assert sizes[-1] - sizes[0] < 300_000, sizes


def _leap(rig: Rig, span: timedelta) -> None:
    """Let time pass ten minutes at a time."""
    for _ in range(span // timedelta(minutes=10)):
        rig.clock._move_to(rig.clock._passed + 600_000_000)
        rig.clock.settle()
