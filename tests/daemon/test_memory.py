"""What time and a backlog cost in memory: a week of simulated time, a sink that is down."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tracemalloc
from datetime import timedelta
from pathlib import Path

from attrs import define, field

from parts.command import environment
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


def test_memory_does_not_grow_with_a_backlog(tmp_path: Path) -> None:
    """While one of two sinks is down, and when it is back, a backlog costs no memory."""
    script = Path(__file__).with_name("backlog_process.py")
    done = subprocess.run(
        [sys.executable, script, tmp_path / "state"],
        env=environment({"PYTHONPATH": os.pathsep.join(sys.path)}),
        stdout=subprocess.PIPE,
        check=True,
    )
    facts = json.loads(done.stdout)
    small, large, delivered = facts["memory"]
    assert facts["backlog"] > 60_000_000 and facts["taken"][0] == facts["taken"][1]
    assert large - small < 6_000_000 and delivered - small < 6_000_000, facts
