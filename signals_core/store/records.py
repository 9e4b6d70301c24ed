"""What goes into the store and comes out of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Final, Literal, NamedTuple

from attrs import field, frozen

from signals_core.metric import Batch, Metric
from signals_core.window import Window

Outcome = Literal["read", "unchanged", "failed", "unreachable", "cancelled", "skipped"]

#: The outcomes after which a reading is known.
SUCCEEDED: Final[frozenset[Outcome]] = frozenset(("read", "unchanged"))

#: A collector's id, its grain in canonical text, and the zone of a calendar grain ("" otherwise).
CoverageKey = tuple[str, str, str]

PauseOf = Literal["collector", "source"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

DAY = 86_400_000_000
"""A day in microseconds."""


def micros(moment: datetime) -> int:
    """Return an aware moment as microseconds since the epoch."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(microseconds: int) -> datetime:
    """Return the moment so many microseconds after the epoch, aware, in UTC."""
    return _EPOCH + microseconds * _MICROSECOND


def maybe_micros(time: datetime | None) -> int | None:
    """Return what `micros` does; None stays None."""
    return None if time is None else micros(time)


def maybe_moment(microseconds: int | None) -> datetime | None:
    """Return what `moment` does; None stays None."""
    return None if microseconds is None else moment(microseconds)


def maybe_bounds(window: Window | None) -> tuple[int, int] | tuple[None, None]:
    """Return the bounds of a window as they are stored."""
    return (micros(window.start), micros(window.end)) if window else (None, None)


def maybe_window(start: int | None, end: int | None) -> Window | None:
    """Return the window between two stored times; None where there is none."""
    return None if start is None or end is None else Window(moment(start), moment(end))


@frozen(kw_only=True)
class Run:
    """One attempt at a reading, and its outcome.

    `id` is None until the run is recorded. `query` is the query, without the bounds of a window:
    the same text is stored once.
    """

    id: int | None = None
    collector: str
    name: str
    origin: str
    started: datetime
    window: Window | None = None
    rows: int = 0
    metrics: int = 0
    milliseconds: int = 0
    outcome: Outcome
    reason: str | None = None
    query: str | None = None


@frozen(kw_only=True)
class Committed:
    """What became of a reading.

    `reading_id` is None where no payload was kept. `sent` names the sinks that will get it,
    `dropped` those whose outbox was full; `retracted` counts the metrics that vanished.
    `unchanged` says that the bucket holds what it held before, so that only sinks asked for by
    `resend`, or that miss the earlier reading, get it.
    """

    reading_id: int | None
    sent: tuple[str, ...] = ()
    retracted: int = 0
    unchanged: bool = False
    dropped: tuple[str, ...] = ()
    note: str | None = None


class Position(NamedTuple):
    """A place in an outbox: the metric `index` of a reading."""

    reading_id: int
    index: int  # type: ignore[assignment] # of more use here than a tuple's own index()


class Item(NamedTuple):
    """A run of metrics of one reading, `[first, last)`."""

    reading_id: int
    first: int
    last: int


class Letter(NamedTuple):
    """A metric that a sink refused for good, and why."""

    reading_id: int
    index: int  # type: ignore[assignment] # of more use here than a tuple's own index()
    reason: str


class Settled(NamedTuple):
    """What a sink took, and what it refused for good."""

    sink: str
    delivered: Iterable[Item] = ()
    refused: Iterable[Letter] = ()


@frozen
class Packed:
    """A batch of pending metrics, and where they are in the outbox."""

    batch: Batch
    items: tuple[Item, ...]

    def __len__(self) -> int:
        """Return how many metrics there are."""
        return sum(item.last - item.first for item in self.items)

    @property
    def end(self) -> Position:
        """The place behind the last metric: pack on from here."""
        return Position(self.items[-1].reading_id, self.items[-1].last)

    def positions(self) -> Iterator[Position]:
        """Yield the place of each metric of the batch."""
        for reading_id, first, last in self.items:
            for index in range(first, last):
                yield Position(reading_id, index)

    def at(self, index: int) -> Position:
        """Return the place of one metric of the batch."""
        ends = accumulate(item.last - item.first for item in self.items)
        item, end = next(pair for pair in zip(self.items, ends, strict=True) if index < pair[1])
        return Position(item.reading_id, item.last - (end - index))

    def select(self, indices: Iterable[int]) -> Packed:
        """Return these metrics of the batch alone, in their order."""
        wanted = set(indices)
        encoded = self.batch.encoded
        lines = b"".join(encoded[index] + b"\n" for index in sorted(wanted))
        places = (place for index, place in enumerate(self.positions()) if index in wanted)
        return Packed(Batch.of_lines(lines), tuple(items_of(places)))


def items_of(positions: Iterable[Position]) -> Iterator[Item]:
    """Join places, in order, that follow on each other."""
    item: Item | None = None
    for reading_id, index in positions:
        if item and (reading_id, index) == (item.reading_id, item.last):
            item = Item(reading_id, item.first, index + 1)
        else:
            if item:
                yield item
            item = Item(reading_id, index, index + 1)
    if item:
        yield item


@frozen(kw_only=True)
class OutboxLine:
    """What waits for one sink, and how the sink is.

    `metrics` and `bytes` are pending, the oldest of them since `oldest`; the dead letters take
    `dead_bytes` more. `orphaned`: the sink is no longer configured. `dropped` counts the readings
    that were not kept for it.
    """

    sink: str
    metrics: int
    bytes: int
    oldest: datetime | None
    orphaned: bool
    dead_letters: int
    dead_bytes: int
    dropped: int
    suspended_since: datetime | None
    failing_since: datetime | None
    reason: str | None


@frozen(kw_only=True)
class DeadLetter:
    """A metric that a sink refused for good: kept, listed, retried by hand."""

    sink: str
    reading_id: int
    index: int
    reason: str
    at: datetime
    collector: str
    metric: Metric


@frozen(kw_only=True)
class Dropped:
    """A reading that was not kept for a sink, because its outbox was full or was dropped."""

    sink: str
    collector: str
    window: Window | None
    started: datetime
    metrics: int
    at: datetime


@frozen(kw_only=True)
class Found:
    """One version of a metric: the run that saw it, and what became of it at each sink.

    The query of its run is shown as it ran, with the bounds of the window.
    """

    metric: Metric
    run: Run
    deliveries: Mapping[str, datetime] = field(factory=dict)
    pending: tuple[str, ...] = ()
    dead: Mapping[str, str] = field(factory=dict)
    dropped: tuple[str, ...] = ()

    @property
    def window(self) -> Window | None:
        """The bucket of the metric; None without a grain."""
        return self.run.window


@frozen(kw_only=True)
class Requested:
    """Work that another process asks of the one that has the state directory."""

    id: int
    kind: str
    arguments: Mapping[str, Any]
    made: datetime
    outcome: str | None
    progress: Mapping[str, Any] | None
    finished: datetime | None


@frozen(kw_only=True)
class Paused:
    """What is not read until `until`, or until someone says so: a collector by its id, or a source.

    A source is one that collectors share, by its name.
    """

    of: PauseOf
    name: str
    since: datetime
    until: datetime | None = None
    reason: str | None = None


@frozen(kw_only=True)
class TakenUp:
    """How the configuration was read last, at start or since, and whether it is what runs.

    `kept_back` names the collectors that go on in an earlier form because of a mistake, `left_out`
    those that do not run because of one; `problems` are the mistakes, each in one line.
    """

    read_at: datetime
    is_taken: bool
    kept_back: Sequence[str] = ()
    problems: Sequence[str] = ()
    left_out: Sequence[str] = ()
