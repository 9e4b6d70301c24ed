"""Plots: values over time as the paths of an SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import floor, log10

from attrs import frozen

Numbers = Sequence[float | None]

_LEAST = 1e-300
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@frozen
class Line:
    """One series: its label, where that stands, and its path."""

    label: str
    path: str
    at: float


@frozen
class Plot:
    """Lines on common axes; ticks are `(where, text)`."""

    lines: Sequence[Line]
    across: Sequence[tuple[float, str]]
    up: Sequence[tuple[float, str]]

    #: How large it is drawn; what is left of LEFT and right of RIGHT is for labels.
    WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 200, 56, 560, 10, 172


def sparkline(numbers: Numbers, width: float, height: float) -> str:
    """Return the path of a line without axes; what is missing is a gap."""
    present = [each for each in numbers if each is not None]
    if not present:
        return ""
    low, high = min(0.0, *present), max(present)
    return _path(numbers, 2, width - 2, height - 2, 2, low, high)


def plot(series: Sequence[tuple[str, Numbers]], moments: Sequence[str]) -> Plot | None:
    """Return the lines of series over moments, by their labels; None where there is no number."""
    present = [each for _, numbers in series for each in numbers if each is not None]
    if not present:
        return None
    ticks = _round_between(min(0.0, *present), max(0.0, *present))
    low, high = ticks[0], ticks[-1]
    drawn = [
        (label, numbers, _path(numbers, Plot.LEFT, Plot.RIGHT, Plot.BOTTOM, Plot.TOP, low, high))
        for label, numbers in series
    ]
    heights = [
        _height(next(each for each in reversed(numbers) if each is not None), low, high)
        if any(each is not None for each in numbers)
        else float(Plot.BOTTOM)
        for _, numbers, _ in drawn
    ]
    places = _apart(heights, 13)
    return Plot(
        [Line(label, path, at) for (label, _, path), at in zip(drawn, places, strict=True)],
        list(_ticks_across(moments)),
        [(_height(tick, low, high), short(tick)) for tick in ticks],
    )


def short(number: float) -> str:
    """Write a number in few characters: 1.2k, 35M."""
    for size, prefix in _PREFIXES:
        if abs(number) >= size:
            scaled = number / size
            return f"{scaled:.3g}{prefix}" if abs(scaled) < 1e6 else f"{number:.2g}"
    return f"{number:.3g}"


def _path(
    numbers: Numbers, left: float, right: float, bottom: float, top: float, low: float, high: float
) -> str:
    step = (right - left) / max(len(numbers) - 1, 1)
    span = (high - low) or 1.0
    pieces, is_down = [], False
    for number, value in enumerate(numbers):
        if value is None:
            is_down = False
            continue
        x, y = left + number * step, bottom - (value - low) / span * (bottom - top)
        # A point alone between two gaps is a dot, by the round end of a line without length.
        pieces.append(f"L{x:.1f} {y:.1f}" if is_down else f"M{x:.1f} {y:.1f}h0")
        is_down = True
    return "".join(pieces)


def _height(value: float, low: float, high: float) -> float:
    return Plot.BOTTOM - (value - low) / ((high - low) or 1.0) * (Plot.BOTTOM - Plot.TOP)


def _round_between(low: float, high: float) -> list[float]:
    """Return three to six round numbers, evenly spaced, that hold `low` and `high` between."""
    if high - low < _LEAST:
        high = low + 1
    rough = (high - low) / 4
    size = 10.0 ** floor(log10(rough))
    step = next(each * size for each in (1, 2, 5, 10) if each * size >= rough)
    first = floor(low / step)
    count = 1
    while (first + count) * step < high:
        count += 1
    return [(first + number) * step for number in range(count + 1)]


def _ticks_across(moments: Sequence[str]) -> Iterator[tuple[float, str]]:
    every = max((len(moments) + 5) // 6, 1)
    step = (Plot.RIGHT - Plot.LEFT) / max(len(moments) - 1, 1)
    for number in range(len(moments) - 1, -1, -every):
        yield Plot.LEFT + number * step, moments[number]


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """Move labels apart that would stand on each other, keeping their order."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    placed = [heights[index] for index in order]
    for before, after in pairwise(range(len(placed))):
        placed[after] = max(placed[after], placed[before] + gap)
    beyond = max(placed[-1] - Plot.BOTTOM, 0.0) if placed else 0.0
    result = [0.0] * len(heights)
    for index, place in zip(order, placed, strict=True):
        result[index] = place - beyond
    return result
