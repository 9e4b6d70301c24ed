"""Metrics and batches for tests of sinks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from signals_core import Batch, Metric

MOMENT = datetime(2026, 1, 1, 23, 1, 0, 120_000, tzinfo=UTC)

text = st.text(st.characters(exclude_categories=["Cs"]))


def metric(value: Any = 3, **other: Any) -> Metric:
    """Make a metric; a whole value makes its uuid."""
    fields: dict[str, Any] = {
        "uuid": UUID(int=value % 2**128 if isinstance(value, int) else 0),
        "name": "core.users.signups",
        "value": value,
        "type": "COUNT",
        "tags": {"customer": "google"},
        "timestamp": MOMENT,
        "grain_datetime": MOMENT,
        "collector": "core.users.signups.1d",
    }
    return Metric(**fields | other)


def batch_of(*metrics: Metric) -> Batch:
    """Put metrics into a batch, as the runner would."""
    return Batch(each.encode() for each in metrics)


#: Metrics of any name, any tags and values from far beyond 64 bits.
metrics = st.builds(
    metric,
    st.one_of(
        st.none(),
        st.integers(-(10**30), 10**30),
        st.decimals(allow_nan=False, allow_infinity=False, places=9),
    ),
    name=text.filter(bool),
    tags=st.dictionaries(text, text, max_size=3),
    collector=text,
)
