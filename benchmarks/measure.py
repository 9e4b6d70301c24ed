"""Measure two pieces of work in turn, so that a machine's moods fall on both."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from attrs import field, frozen


@frozen
class Goal:
    """The most that a figure may come to: its ratio, or the excess of ours in its unit."""

    most: float
    of: str = "ratio"

    def __str__(self) -> str:
        text = f"{self.most:.2g}" if self.most < 1 else f"{self.most:,g}"
        return f"at most {'+ ' if self.of != 'ratio' else ''}{text}{self.of_unit}"

    @property
    def of_unit(self) -> str:
        """The unit of an excess."""
        return "" if self.of == "ratio" else f" {self.of}"


@frozen
class Figure:
    """What was measured: pairs of (ours, other) in one unit, the goal, and what it is good for.

    `goal` is a `Goal`, or text where there is none to hold it against.
    """

    name: str
    other: str
    goal: Goal | str
    unit: str
    pairs: list[tuple[float, float]]
    meaning: str = ""
    ratios: list[float] = field(init=False)

    @ratios.default
    def _ratios(self) -> list[float]:
        return [ours / other for ours, other in self.pairs]

    @property
    def medians(self) -> tuple[float, float]:
        """The median of ours, and of the other."""
        ours, other = (median(column) for column in zip(*self.pairs, strict=True))
        return ours, other

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if not isinstance(self.goal, Goal):
            return None
        if self.goal.of == "ratio":
            return median(self.ratios) <= self.goal.most
        return median([ours - other for ours, other in self.pairs]) <= self.goal.most

    def row(self) -> list[str]:
        """Return the figure as the cells of a table."""
        shown = (f"{number:,.3g} {self.unit}" for number in self.medians)
        spread = f"{number(min(self.ratios))} to {number(max(self.ratios))}"
        met = {True: "met", False: "missed", None: ""}[self.is_met]
        ratio = number(median(self.ratios))
        return [self.name, self.other, *shown, ratio, spread, str(self.goal), met]

    def as_json(self) -> dict[str, Any]:
        """Return all of it, for a program."""
        ours, other = self.medians
        return {
            "name": self.name,
            "against": self.other,
            "unit": self.unit,
            "ours": ours,
            "other": other,
            "ratio": median(self.ratios),
            "least": min(self.ratios),
            "greatest": max(self.ratios),
            "goal": str(self.goal),
            "met": self.is_met,
            "pairs": self.pairs,
            "meaning": self.meaning,
        }


def number(ratio: float) -> str:
    """Write a ratio: two decimals, or two digits of a small one."""
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"


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
    silent = subprocess.DEVNULL
    subprocess.run([sys.executable, *command], check=True, stdout=silent, stderr=silent)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def in_a_process(module: str, *arguments: str) -> Any:
    """Run a module that prints one value of JSON, and return it."""
    command = [sys.executable, "-m", module, *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def peak_megabytes(module: str, *arguments: str) -> tuple[float, float]:
    """Run a module that prints its peak memory before and after its work, in MB."""
    idle, peak = in_a_process(module, *arguments)
    return peak, idle
