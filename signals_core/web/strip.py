"""Strips: the last windows of a collector, or its last runs, drawn as one small mark each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import groupby, islice
from typing import Literal

from attrs import frozen

from signals_core.coverage import Coverage
from signals_core.store import Run
from signals_core.window import Grain, Window, iso

Kind = Literal["read", "revised", "failed", "late", "skipped"]

#: What the marks mean, in the order of the legend.
MEANINGS: Mapping[Kind, str] = {
    "read": "read",
    "revised": "read again, and it had changed",
    "failed": "failed",
    "late": "late: due, and not read",
    "skipped": "skipped",
}

_STEP, _WIDTH, _HEIGHT = 8, 6, 18
_SHAPES: Mapping[Kind, str] = {
    "read": "v18h6v-18z",
    "revised": "v8h6v-8z m0 10v8h6v-8z",
    "failed": "l6 18m0 -18l-6 18",
    "late": "m1 1v16h4v-16z",
    "skipped": "m0 14v4h6v-4z",
}
_OF_RUNS: Mapping[str, Kind] = {
    "read": "read",
    "unchanged": "read",
    "failed": "failed",
    "unreachable": "failed",
}


@frozen
class Mark:
    """One window or run: what became of it, and what is to be said of it."""

    kind: Kind
    title: str


@frozen
class Strip:
    """Marks, oldest first; `noun` is what each of them is: a window or a run."""

    marks: Sequence[Mark]
    noun: str

    @property
    def width(self) -> int:
        """How wide it is drawn."""
        return max(len(self.marks) * _STEP - (_STEP - _WIDTH), _WIDTH)

    @property
    def height(self) -> int:
        """How high it is drawn."""
        return _HEIGHT

    @property
    def summary(self) -> str:
        """The strip in words."""
        counts = {kind: sum(each.kind == kind for each in self.marks) for kind in MEANINGS}
        said = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
        return f"last {len(self.marks)} {self.noun}s: {said}"

    @property
    def paths(self) -> Iterator[tuple[Kind, str]]:
        """What to draw: all marks of a kind together."""
        places = sorted(
            ((each.kind, number * _STEP) for number, each in enumerate(self.marks)),
        )
        for kind, group in groupby(places, key=lambda place: place[0]):
            yield kind, "".join(f"M{x} 0{_SHAPES[kind]}" for _, x in group)

    @property
    def odd(self) -> Iterator[tuple[int, Mark]]:
        """The marks that are not simply read, and where they are."""
        for number, each in enumerate(self.marks):
            if each.kind != "read":
                yield number * _STEP, each


def of_windows(
    windows: Sequence[Window], coverage: Coverage, readings: Mapping[datetime, int]
) -> Strip:
    """Return the strip of windows; `readings` counts those kept of each, by its start."""
    began = [each for each in windows if each.start >= coverage.start or each.start in readings]
    return Strip([_of_window(each, coverage, readings.get(each.start, 0)) for each in began],
                 "window")  # fmt: skip


def of_runs(runs: Sequence[Run]) -> Strip:
    """Return the strip of a snapshot collector's runs, oldest first."""
    return Strip([_of_run(each) for each in runs], "run")


def last_windows(grain: Grain, until: datetime, count: int) -> Sequence[Window]:
    """Return the last so many windows that ended by `until`, oldest first."""
    return _before(grain, grain.window(until).start, count)


@lru_cache(maxsize=256)
def _before(grain: Grain, end: datetime, count: int) -> Sequence[Window]:
    # Many collectors have the same grain, and dates in a zone are dear.
    first = datetime.min.replace(tzinfo=end.tzinfo)
    return tuple(islice(grain.backwards(first, end), count))[::-1]


def _of_window(window: Window, coverage: Coverage, readings: int) -> Mark:
    failure = coverage.failures.get(window.start)
    if failure is not None:
        return Mark("failed", f"{window}: failed: {failure.reason}")
    if coverage.covered.covers(window.start, window.end):
        return Mark("revised", f"{window}: {MEANINGS['revised']}") if readings > 1 else _READ
    if coverage.skipped.covers(window.start, window.end):
        return Mark("skipped", f"{window}: skipped, as catch_up says")
    return Mark("late", f"{window}: {MEANINGS['late']}")


def _of_run(run: Run) -> Mark:
    kind = _OF_RUNS.get(run.outcome, "skipped")
    said = f": {run.reason}" if run.reason else ""
    return Mark(kind, f"{iso(run.started)}: {run.outcome}{said}")


_READ = Mark("read", "")
