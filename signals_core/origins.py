"""Origins: where a number comes from, in words."""

from __future__ import annotations

from collections.abc import Iterator

from signals_core.phrases import counted
from signals_core.store import Found
from signals_core.window import iso


def of_number(found: Found) -> Iterator[tuple[str, str]]:
    """Yield what is known of one version of a metric: collector, window, run, query, sinks."""
    metric, run = found.metric, found.run
    tags = ", ".join(f"{key}={text}" for key, text in metric.tags.items())
    yield "metric", f"{metric.name} {tags}".rstrip()
    yield "value", "retracted" if metric.value is None else str(metric.value)
    yield "version", iso(metric.timestamp)
    yield "collector", run.name if run.name == run.collector else f"{run.name} (id {run.collector})"
    if found.window:
        yield "window", str(found.window)
    rows = counted(run.rows, "row")
    yield "run", f"{rows} in {run.milliseconds} ms, as {run.origin!r} in the source's log"
    yield "query", run.query or ""
    for sink, at in found.deliveries.items():
        yield "delivered", f"to {sink} at {iso(at)}"
    for sink in found.pending:
        yield "pending", f"for {sink}"
    for sink, reason in found.dead.items():
        yield "refused", f"by {sink}: {reason}"
    for sink in found.dropped:
        yield "dropped", f"for {sink}"
