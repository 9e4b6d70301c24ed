"""Metrics into sinks: batches within a sink's bounds, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator

from signals_core.errors import Rejected
from signals_core.metric import Batch, Metrics
from signals_core.plugin import Sink


def batches(metrics: Metrics, sink: Sink) -> Iterator[Batch]:
    """Yield `metrics`, in order, in batches that keep the sink's bounds."""
    for batch in metrics.batches:
        if len(batch) <= sink.batch_metrics and len(batch.json_lines()) <= sink.batch_bytes:
            yield batch
        else:
            yield from _cut(batch, sink)


def _cut(batch: Batch, sink: Sink) -> Iterator[Batch]:
    start, size = 0, 0
    for index, line in enumerate(batch.encoded):
        full = index - start >= sink.batch_metrics or size + len(line) > sink.batch_bytes
        if full and index > start:
            yield batch[start:index]
            start, size = index, 0
        size += len(line) + 1
    yield batch[start:]


def write(metrics: Metrics, sink: Sink) -> None:
    """Write all of `metrics`. What a sink rejects by index is left out and the rest goes again.

    Raises what the sink raises; `Rejected`, once everything else is accepted, for metrics that
    it never takes.
    """
    refused: list[Rejected] = []
    for batch in batches(metrics, sink):
        _write_batch(batch, sink, refused)
    if refused:
        count = sum(len(each.indices or ()) for each in refused)
        raise Rejected(f"{count} of {len(metrics)} metrics were refused: {refused[0].reason}")


def _write_batch(batch: Batch, sink: Sink, refused: list[Rejected]) -> None:
    try:
        sink.write(batch)
    except Rejected as error:
        if not error.indices:
            raise
        refused.append(error)
        rest = [line for index, line in enumerate(batch.encoded) if index not in error.indices]
        if rest:
            _write_batch(Batch(rest), sink, refused)
