"""The connected check: what can be known of collectors without reading data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from signals_core.collector import Collector
from signals_core.connections import Connection, breaks_source
from signals_core.errors import reason_of
from signals_core.plugin import Sink, Source

#: What a plugin may do to us: anything but stop a person's Ctrl-C.
_ANY_FAILURE = (Exception, SystemExit)


@frozen
class Check:
    """What was checked, and what is wrong with it: nothing when `mistakes` is empty.

    `error` is what the plugin raised, if it did.
    """

    subject: str
    mistakes: Sequence[str] = ()
    error: BaseException | None = None


def check_query(collector: Collector, connection: Connection[Source]) -> Check:
    """Have the source check a collector's query, and compare the columns of its result."""
    subject = f"collector {collector.name}"
    try:
        with connection.use(breaks_source) as source:
            columns = source.check(collector.query)
    except _ANY_FAILURE as error:
        return Check(subject, [reason_of(error)], error)
    return Check(subject, [] if columns is None else list(_column_mistakes(collector, columns)))


def check_sink(name: str, connection: Connection[Sink]) -> Check:
    """Have a sink connect and authenticate."""
    try:
        with connection.use(breaks_source) as sink:
            sink.check()
    except _ANY_FAILURE as error:
        return Check(f"sink {name}", [reason_of(error)], error)
    return Check(f"sink {name}")


def _column_mistakes(collector: Collector, columns: Sequence[str]) -> Iterator[str]:
    shown = ", ".join(columns)
    for definition in collector.definitions:
        if definition.value not in columns:
            yield (
                f"the result has no column {definition.value!r} for the metric "
                f"{definition.name!r} (it has: {shown})"
            )
    values = {definition.value for definition in collector.definitions}
    configured = set(collector.tags).union(*(each.tags for each in collector.definitions))
    for column in columns:
        if column not in values and column in configured:
            yield f"the column {column!r} meets a configured tag of the same name"
