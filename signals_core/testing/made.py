"""Metrics to write to a sink, each with a uuid of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import attrs

from signals_core import Batch, Metric

DAY = datetime(2026, 1, 1, tzinfo=UTC)

#: Numbers that lose something when they pass through a float, or through a 64-bit integer.
NUMBERS = (
    0,
    -1,
    2**53 + 1,
    -(2**64) - 1,
    10**30,
    Decimal("0.1"),
    Decimal("-12345678901234567890.123456789"),
    Decimal("0.000000000000000000001"),
    1.5,
    None,
)
TAGS: tuple[Mapping[str, str], ...] = (
    {},
    {"empty": ""},
    {"quoted": 'a "b" \\ c', "lines": "one\ntwo\ttab"},
    {"città": "東京", "emoji": "🙂", "combining": "e\u0301"},
    {"sql": "'; DROP TABLE metrics; --", "json": '{"a": [1]}', "percent": "%s %(a)s"},
)


def metric(value: Any = 3, **fields: Any) -> Metric:
    """Make a metric of a day, as a collector would."""
    made: dict[str, Any] = {
        "uuid": uuid4(),
        "name": "kit.metric",
        "value": value,
        "type": "SUM",
        "tags": {"env": "kit"},
        "timestamp": DAY + timedelta(days=1, hours=1, microseconds=120_000),
        "grain_datetime": DAY,
        "collector": "kit",
        "grain": "1d",
        "timezone": "UTC",
        "window_end": DAY + timedelta(days=1),
    }
    return Metric(**made | fields)


def later(made: Metric, value: Any) -> Metric:
    """Make a newer version of a metric."""
    return attrs.evolve(made, value=value, timestamp=made.timestamp + timedelta(seconds=1))


def several(count: int) -> list[Metric]:
    """Make so many metrics, which their values number."""
    return [metric(number) for number in range(count)]


def batch_of(metrics: Iterable[Metric]) -> Batch:
    """Put metrics into a batch, as the runner does."""
    return Batch(each.encode() for each in metrics)
