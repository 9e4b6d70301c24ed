"""Measure two pieces of work in turn, so that a machine's moods fall on both."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

from attrs import field, frozen


@frozen
class Figure:
    """What was measured: pairs of (ours, other) in one unit, and the goal for their ratio."""

    name: str
    other: str
    goal: str
    unit: str
    pairs: list[tuple[float, float]]
    ratios: list[float] = field()

    @ratios.default
    def _ratios(self) -> list[float]:
        return [ours / other for ours, other in self.pairs]

    def row(self) -> list[str]:
        """Return the figure as the cells of a table."""
        ours, other = (median(column) for column in zip(*self.pairs, strict=True))
        spread = f"{min(self.ratios):.2f} to {max(self.ratios):.2f}"
        shown = (f"{number:,.3g} {self.unit}" for number in (ours, other))
        return [self.name, self.other, *shown, f"{median(self.ratios):.2f}", spread, self.goal]


def in_turn(
    ours: Callable[[], object],
    other: Callable[[], object],
    runs: int,
    clock: Callable[[], float] = time.perf_counter,
) -> list[tuple[float, float]]:
    """Return the seconds of `ours` and `other`, run in turn, after one uncounted pair."""
    pairs = [(_seconds(ours, clock), _seconds(other, clock)) for _ in range(runs + 1)]
    return pairs[1:]


def _seconds(work: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    work()
    return clock() - start


def cpu_of_process(*command: str) -> float:
    """Return the CPU seconds, user and system, of a whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def peak_megabytes(module: str, *arguments: str) -> tuple[float, float]:
    """Run a module that prints its peak memory before and after its work, in MB."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], check=True, stdout=subprocess.PIPE
    )
    idle, peak = json.loads(done.stdout)
    return peak, idle
