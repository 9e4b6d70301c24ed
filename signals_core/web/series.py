"""Series: the values of a metric by its tags, in one retained reading after the other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from math import isfinite

from attrs import define, field, frozen

from signals_core.collector import Collector

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


@define
class _Trail:
    """What has been found of a collector: the series looked for, by the readings looked at."""

    keys: Sequence[Key]
    total: int
    points: dict[int, Sequence[Point | None]] = field(factory=dict)


class Trails:
    """The last values of the largest series of each collector.

    A reading never changes, so what was found in it is remembered; as much as was asked for last.
    """

    def __init__(self, most: int, most_of_each: int) -> None:
        self._most = most
        self._most_of_each = most_of_each
        self._known: dict[str, _Trail] = {}

    def follow(
        self, id_: str, readings: Sequence[int | None], lines_of: Lines
    ) -> tuple[list[Series], int]:
        """Return the largest series of the last of `readings`, and how many series that has.

        `readings` are numbers, None for those that are missing; where the last one is too large
        there are no series.
        """
        numbers = [each for each in readings if each is not None]
        if not numbers:
            return [], 0
        latest, known = numbers[-1], self._known.get(id_)
        lines: dict[int, bytes] = {}
        if known is None or latest not in known.points:
            lines.update(lines_of([latest]))
            found = values_of(lines.get(latest, b""))
            keys = largest(found, self._most, self._most_of_each)
            total = sum(point.text is not None for point in found.values())
            kept = known.points if known and known.keys == keys else {}
            known = _Trail(keys, total, dict(kept))
        if known.keys:
            new = [each for each in numbers if each not in known.points]
            lines.update(lines_of(each for each in new if each not in lines))
            for each in new:
                values = values_of(lines.get(each, b""))
                known.points[each] = [values.get(key) for key in known.keys]
        known.points = {each: known.points.get(each, ()) for each in numbers}
        self._known[id_] = known
        by_reading = known.points
        return [
            series_of(key, [_at(number, by_reading.get(each or 0, ())) for each in readings])
            for number, key in enumerate(known.keys)
        ], known.total


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


def _at(number: int, points: Sequence[Point | None]) -> Point | None:
    return points[number] if points else None
