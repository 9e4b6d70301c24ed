"""A sink that keeps what it is given."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from attrs import define, field

from signals_core import Batch, Metric, Sink


@define
class RecordingSink(Sink):
    """Keeps every batch, or raises what it is told to.

    In one runner, give each its own `name`: sinks that are configured alike are one.
    """

    name: str = "recorded"
    """What tells it from others."""

    raises: Exception | None = field(init=False, default=None, eq=False)
    """What `write` raises, as `Unavailable("down")`; None: it takes everything."""

    batches: list[Batch] = field(init=False, factory=list, eq=False, repr=False)
    """What it has taken, in order."""

    def write(self, batch: Batch) -> None:
        """Keep `batch`, or raise `raises` and keep nothing."""
        if self.raises is not None:
            raise self.raises
        self.batches.append(batch)

    @property
    def metrics(self) -> list[Metric]:
        """All metrics that it has taken, in order, those that came twice twice."""
        return [metric for batch in self.batches for metric in batch]

    @property
    def newest(self) -> dict[UUID, Metric]:
        """What a receiver holds that keeps the newest version of each uuid."""
        return {metric.uuid: metric for metric in sorted(self.metrics, key=_version)}


def _version(metric: Metric) -> datetime:
    return metric.timestamp
