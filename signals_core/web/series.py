"""Series: the values of a metric by its tags, in one retained reading after the other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from math import isfinite
from typing import Generic, TypeVar

from attrs import frozen

from signals_core.collector import Collector

T = TypeVar("T")

#: A metric's name and its tags, as JSON has them on the wire.
Key = tuple[bytes, bytes]

#: Returns the lines of readings by their numbers; of those that are too large, nothing.
Lines = Callable[[Iterable[int]], Mapping[int, bytes]]

# No quote within a text is without a backslash, so these are found nowhere else.
_LINE = re.compile(
    rb'^\{"uuid":"([^"]+)","name":("(?:[^"\\]|\\.)*"),"value":([^,]+),"type":"\w+",'
    rb'"tags":(\{.*?\}),"timestamp":"',
    re.MULTILINE,
)
_RETRACTED = b"null"


@frozen
class Point:
    """One value on the wire: the number as it is written there, None when it is retracted."""

    uuid: str
    text: str | None

    @property
    def number(self) -> float | None:
        """The value as a number that can be drawn; None when it cannot."""
        try:
            number = float(self.text) if self.text is not None else None
        except OverflowError:
            return None
        return number if number is not None and isfinite(number) else None


@frozen
class Series:
    """One metric with its tags: a point for each reading, None where it has none."""

    name: str
    tags: Mapping[str, str]
    points: Sequence[Point | None]

    @property
    def numbers(self) -> list[float | None]:
        """Its values as they can be drawn."""
        return [point.number if point else None for point in self.points]

    @property
    def latest(self) -> Point | None:
        """The last point that has a value."""
        return next((each for each in reversed(self.points) if each and each.text), None)

    def label(self, collector: Collector, *, alone: bool = False) -> str:
        """Return what tells it apart among the series of its collector, or of its metric alone."""
        configured = collector.tags.items()
        said = ", ".join(f"{key}={text}" for key, text in self.tags.items()
                         if (key, text) not in configured)  # fmt: skip
        alone = alone or len(collector.definitions) == 1
        return said if alone and said else f"{self.name} {said}".rstrip()


@frozen
class Trail(Generic[T]):
    """The largest series of a collector, drawn, and how many it has in all."""

    collector: Collector
    readings: Sequence[int | None]
    keys: Sequence[Key]
    total: int
    points: Mapping[int, Sequence[Point | None]]
    drawn: Sequence[T]


class Trails(Generic[T]):
    """The last values of the largest series of each collector.

    A reading never changes, so what was found in it is remembered; as much as was asked for last.
    """

    def __init__(self, most: int, most_of_each: int) -> None:
        self._most = most
        self._most_of_each = most_of_each
        self._known: dict[str, Trail[T]] = {}

    def follow(
        self,
        collector: Collector,
        readings: Sequence[int | None],
        lines_of: Lines,
        draw: Callable[[Series, Collector], T],
    ) -> Trail[T]:
        """Return the largest series of the last of `readings`.

        `readings` are numbers, None for those that are missing; where the last one is too large
        there are no series.
        """
        known = self._known.get(collector.id)
        if known is None or known.collector is not collector or known.readings != readings:
            known = self._followed(collector, readings, lines_of, draw, known)
            self._known[collector.id] = known
        return known

    def _followed(
        self,
        collector: Collector,
        readings: Sequence[int | None],
        lines_of: Lines,
        draw: Callable[[Series, Collector], T],
        known: Trail[T] | None,
    ) -> Trail[T]:
        numbers = [each for each in readings if each is not None]
        if not numbers:
            return Trail(collector, readings, (), 0, {}, ())
        latest = values_of(lines_of(numbers[-1:]).get(numbers[-1], b""))
        keys = largest(latest, self._most, self._most_of_each)
        points = dict(known.points) if known and known.keys == keys else {}
        if keys and (new := [each for each in numbers if each not in points]):
            for number, lines in lines_of(new).items():
                values = values_of(lines)
                points[number] = [values.get(key) for key in keys]
        points = {each: points.get(each, [None] * len(keys)) for each in numbers}
        series = [
            series_of(key, [points[each][place] if each is not None else None for each in readings])
            for place, key in enumerate(keys)
        ]
        total = sum(point.text is not None for point in latest.values())
        drawn = [draw(each, collector) for each in series]
        return Trail(collector, readings, keys, total, points, drawn)


def values_of(lines: bytes) -> dict[Key, Point]:
    """Return the values of a reading by their series."""
    return {
        (name, tags): Point(uuid.decode(), None if value == _RETRACTED else value.decode())
        for uuid, name, value, tags in _LINE.findall(lines)
    }


def largest(found: Mapping[Key, Point], most: int, most_of_each: int) -> list[Key]:
    """Return the series with the largest values: the largest of each metric first."""
    by_name: dict[bytes, list[tuple[float, Key]]] = {}
    for key, point in found.items():
        number = point.number
        if number is not None:
            by_name.setdefault(key[0], []).append((-number, key))
    ranked = [sorted(each)[:most_of_each] for each in by_name.values()]
    turns: Iterator[tuple[float, Key] | None] = chain.from_iterable(zip_longest(*ranked))
    return [each[1] for each in turns if each is not None][:most]


def series_of(key: Key, points: Sequence[Point | None]) -> Series:
    """Return the series of a key with its points."""
    name, tags = key
    return Series(json.loads(name), json.loads(tags), points)
