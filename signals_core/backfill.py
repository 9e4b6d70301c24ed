"""Backfill: past windows, one after the other, with progress that outlives the process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

from attrs import define, field, frozen

from signals_core.coverage import Coverage
from signals_core.store import SUCCEEDED, Outcome, Store
from signals_core.window import Grain, Window, iso


@frozen
class Span:
    """What is to be backfilled: whole windows of `[start, end)` of one collector.

    `sinks` get the whole set even of windows that did not change; None: only what changed.
    With `failed_only` it is just the windows that failed.
    """

    collector: str
    start: datetime
    end: datetime
    sinks: Sequence[str] | None = None
    failed_only: bool = False

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Self:
        """Read what `arguments` wrote."""
        start, end = (datetime.fromisoformat(arguments[key]) for key in ("start", "end"))
        return cls(arguments["collector"], start, end, arguments["sinks"], arguments["failed_only"])

    @classmethod
    def whole(
        cls,
        collector: str,
        grain: Grain,
        start: datetime,
        end: datetime,
        sinks: Sequence[str] | None = None,
        *,
        failed_only: bool = False,
    ) -> Self:
        """Narrow a span to whole windows, so that what is asked again later today is the same.

        Raises `ValueError` when there is no whole window in it.
        """
        windows = grain.windows(start, end)
        first = next(windows, None)
        if first is None:
            raise ValueError(
                f"there is no whole window of {grain} between {iso(start)} and {iso(end)} (only "
                "windows that are over, from their start to their end, can be read)"
            )
        last = grain.window(end)
        return cls(collector, first.start, last.start, sinks, failed_only)

    @property
    def arguments(self) -> dict[str, Any]:
        """The span as it is left for the daemon in the store."""
        return {
            "collector": self.collector,
            "start": iso(self.start),
            "end": iso(self.end),
            "sinks": None if self.sinks is None else list(self.sinks),
            "failed_only": self.failed_only,
        }

    def windows(
        self, grain: Grain, coverage: Coverage, after: datetime | None = None
    ) -> Iterator[Window]:
        """Yield the windows, oldest first; those behind `after`, where an earlier try ended."""
        for window in grain.windows(after or self.start, self.end):
            if not self.failed_only or window.start in coverage.failures:
                yield window


def ask(store: Store, spans: Sequence[Span], at: datetime) -> list[int]:
    """Return the number of the request for each span: of one that is not finished, or a new one."""
    asked = [each for each in store.requests() if each.kind == "backfill"]
    numbers = []
    for span in spans:
        same = (each.id for each in asked if each.arguments == span.arguments)
        numbers.append(next(same, None) or store.request("backfill", span.arguments, at=at))
    return numbers


@define
class Progress:
    """How far a backfill is: windows in all, done, by outcome, and the end of the last one."""

    total: int
    done: int = 0
    outcomes: Counter[Outcome] = field(factory=Counter)
    until: datetime | None = None

    @property
    def failed(self) -> int:
        """How many windows were neither read nor found unchanged."""
        return sum(count for outcome, count in self.outcomes.items() if outcome not in SUCCEEDED)

    def add(self, window: Window, outcome: Outcome) -> None:
        """Note what became of a window."""
        self.done += 1
        self.outcomes[outcome] += 1
        self.until = window.end

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Read what `facts` wrote."""
        until = facts["until"]
        return cls(
            facts["total"],
            facts["done"],
            Counter(facts["outcomes"]),
            None if until is None else datetime.fromisoformat(until),
        )

    @property
    def facts(self) -> dict[str, Any]:
        """The progress as it is kept in the store."""
        until = None if self.until is None else iso(self.until)
        outcomes = dict(self.outcomes)
        return {"total": self.total, "done": self.done, "outcomes": outcomes, "until": until}
