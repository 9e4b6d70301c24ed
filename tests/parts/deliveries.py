"""What reaches a receiver: readings of a few buckets, in whatever order, number and batches.

Each reading that changed anything is the whole set of its bucket, with one `timestamp`, and what
vanished since the reading before it, retracted. Of that a receiver may get anything twice, and
late.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from attrs import frozen
from hypothesis import strategies as st

from signals_core import Batch, Grain, Metric
from signals_core.metric import Identity

COLLECTOR, NAME, ZONE = "shop.orders.1d", "shop.orders", "Europe/Paris"
GRAIN = Grain.parse("1d", ZONE)
FIRST = datetime(2026, 1, 31, 12, tzinfo=UTC)

Counts = Mapping[str, Decimal]


@frozen
class Delivery:
    """Batches in the order in which they come, and what the last readings saw."""

    batches: list[Batch]
    seen: dict[str, Decimal]


def readings_of(day: int, states: Sequence[Counts]) -> Iterator[list[Metric]]:
    """Yield what is sent of a bucket that is read in these states, one after the other."""
    before: Counts = {}
    for number, state in enumerate(states):
        if state != before:
            gone = dict.fromkeys(before.keys() - state.keys())
            values = {**state, **gone}.items()
            yield [metric(day, number, country, value) for country, value in values]
        before = state


def metric(day: int, reading: int, country: str, value: Decimal | None) -> Metric:
    """Make the metric of a country in one reading of a day."""
    window = GRAIN.window(FIRST + timedelta(days=day))
    tags = {"country": country}
    return Metric(
        uuid=Identity(COLLECTOR, NAME, window.start, window.end).of(tags),
        name=NAME,
        value=value,
        type="COUNT",
        tags=tags,
        timestamp=window.end + timedelta(seconds=reading, microseconds=day),
        grain_datetime=window.start,
        collector=COLLECTOR,
        grain="1d",
        timezone=ZONE,
        window_end=window.end,
    )


@st.composite
def deliveries(draw: Any) -> Delivery:
    """Draw what is delivered of three days."""
    counts = st.dictionaries(
        st.sampled_from("be de fr".split()), st.decimals(-999, 999, places=2), max_size=3
    )
    days = draw(st.lists(st.lists(counts, min_size=1, max_size=4), min_size=1, max_size=3))
    sent = [
        metric
        for day, states in enumerate(days)
        for reading in readings_of(day, states)
        for metric in reading
    ]
    again = draw(st.lists(st.sampled_from(sent), max_size=5)) if sent else []
    lines = [each.encode() for each in draw(st.permutations(sent + again))]
    size = draw(st.integers(1, max(1, len(lines))))
    seen = {
        str(metric(day, 0, country, value).uuid): value
        for day, states in enumerate(days)
        for country, value in states[-1].items()
    }
    return Delivery([Batch(lines[i : i + size]) for i in range(0, len(lines), size)], seen)
