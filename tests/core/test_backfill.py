"""Backfill: spans of whole windows, and progress that is kept as text."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from signals_core import Grain
from signals_core.backfill import Progress, Span
from signals_core.coverage import Coverage

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
GRAIN = Grain.parse("1h")


def at(hour: float) -> datetime:
    return START + hour * HOUR


@pytest.mark.parametrize(
    ("start", "end", "whole"), [(0, 3, (0, 3)), (0.1, 3.9, (1, 3)), (0, 1.5, (0, 1))]
)
def test_whole_windows(start: float, end: float, whole: tuple[int, int]) -> None:
    """A span is narrowed to whole windows: what is asked again a little later is the same."""
    span = Span.whole("core.test", GRAIN, at(start), at(end))
    assert (span.start, span.end) == (at(whole[0]), at(whole[1]))
    assert Span.whole("core.test", GRAIN, span.start, span.end) == span


@pytest.mark.parametrize(("start", "end"), [(0, 0.9), (0.1, 1.9), (3, 3), (3, 1)])
def test_no_whole_window(start: float, end: float) -> None:
    """A span without a whole window is an error."""
    with pytest.raises(ValueError, match="there is no whole window of 1h"):
        Span.whole("core.test", GRAIN, at(start), at(end))


def test_arguments_are_text() -> None:
    """A span and a progress come back from the store as they went there."""
    span = Span("core.test", at(0), at(5), ["lake"], failed_only=True)
    assert Span.of(json.loads(json.dumps(span.arguments))) == span
    progress = Progress(3)
    progress.add(GRAIN.window(at(1)), "read")
    progress.add(GRAIN.window(at(2)), "failed")
    assert Progress.of(json.loads(json.dumps(progress.facts))) == progress
    assert (progress.done, progress.until, progress.failed) == (2, at(3), 1)
    assert progress.outcomes == Counter(read=1, failed=1)


def test_windows_of_a_span() -> None:
    """Windows come oldest first, from where it was ended on; if wanted, those that failed."""
    span = Span("core.test", at(0), at(5))
    assert [each.start for each in span.windows(GRAIN, Coverage(at(0)))] == [
        at(hour) for hour in range(5)
    ]
    rest = span.windows(GRAIN, Coverage(at(0)), after=at(3))
    assert [each.start for each in rest] == [at(3), at(4)]
    coverage = Coverage(at(0)).after_failure(GRAIN.window(at(2)), "no", at(3))
    failed = Span("core.test", at(0), at(5), failed_only=True)
    assert [each.start for each in failed.windows(GRAIN, coverage)] == [at(2)]
