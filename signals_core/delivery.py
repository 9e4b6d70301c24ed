"""Metrics into sinks: batches within a sink's bounds, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from signals_core.collector import Reading
from signals_core.connections import Connection
from signals_core.errors import DeliveryError, Rejected, reason_of
from signals_core.metric import Batch, Metrics
from signals_core.plugin import Sink


def batches(metrics: Metrics, sink: Sink) -> Iterator[Batch]:
    """Yield `metrics`, in order, in batches as large as the sink's bounds let them be."""
    parts: list[Batch] = []
    for batch in metrics.batches:
        start = 0
        while start < len(batch):
            end = _fitting(batch, start, parts, sink)
            if end > start:
                parts.append(batch if end - start == len(batch) else batch[start:end])
            if end < len(batch):
                yield _joined(parts)
                parts = []
            start = end
    if parts:
        yield _joined(parts)


def _fitting(batch: Batch, start: int, beside: Sequence[Batch], sink: Sink) -> int:
    """Return the end of what still fits of a batch: a single larger metric fits alone."""
    metrics = sink.batch_metrics - sum(map(len, beside))
    size = sink.batch_bytes - sum(len(part.json_lines()) for part in beside)
    if not start and len(batch) <= metrics and len(batch.json_lines()) <= size:
        return len(batch)
    if metrics <= 0:
        return start  # without taking the batch apart, which would keep it twice
    end = start
    for line in batch.encoded[start : start + metrics]:
        size -= len(line) + 1
        if size < 0 and (end > start or beside):
            break
        end += 1
        if size < 0:
            break
    return end


def _joined(parts: Sequence[Batch]) -> Batch:
    if len(parts) == 1:
        return parts[0]
    return Batch.of_lines(b"".join(part.json_lines() for part in parts))


def write(metrics: Metrics, sink: Sink) -> None:
    """Write all of `metrics`. What a sink rejects by index is left out and the rest goes again.

    Raises what the sink raises; `Rejected`, once everything else is accepted, for metrics that
    it never takes.
    """
    taken = 0
    reasons: list[str] = []
    for batch in batches(metrics, sink):
        taken += _write_batch(batch, sink, reasons)
    if reasons:
        count = len(metrics) - taken
        raise Rejected(f"{count} of {len(metrics)} metrics were refused: {reasons[0]}")


def _write_batch(batch: Batch, sink: Sink, reasons: list[str]) -> int:
    """Write what the sink takes of `batch`; return how many metrics that are."""
    while batch:
        try:
            sink.write(batch)
            break
        except Rejected as error:
            guilty = error.indices or frozenset()
            rest = [line for index, line in enumerate(batch.encoded) if index not in guilty]
            if len(rest) == len(batch):
                raise  # it names none of them
            reasons.append(error.reason)
            batch = Batch(rest)
    return len(batch)


def deliver(reading: Reading, sinks: Mapping[str, Connection[Sink]]) -> None:
    """Hand a reading to sinks. Raises `DeliveryError`, which names those that failed."""
    delivered: list[str] = []
    failed: dict[str, str] = {}
    cause: Exception | None = None
    for name, connection in sinks.items():
        try:
            if reading.metrics:
                with connection.use() as sink:
                    write(reading.metrics, sink)
            delivered.append(name)
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything
            cause = cause or error
            failed[name] = reason_of(error)
    if failed:
        raise DeliveryError(reading, delivered, failed) from cause
