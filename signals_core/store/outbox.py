"""What is pending for each sink, in order of commit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from attrs import define, field

from signals_core.metric import Batch
from signals_core.store import payload
from signals_core.store.database import Connection, Database
from signals_core.store.records import (
    Item,
    Letter,
    Packed,
    Position,
    Settled,
    items_of,
    micros,
)
from signals_core.store.sinks import change_totals, find_sink

_START = Position(0, 0)


class Outbox:
    """The part of the store that hands out metrics and takes acknowledgements."""

    _database: Database

    def pending(
        self, sink: str, *, metrics: int, bytes: int, after: Position | None = None
    ) -> Packed | None:
        """Pack what is next for a sink, up to so many metrics and bytes; None when all is taken.

        A single larger metric comes alone. `after` packs from behind an earlier batch: its `end`.
        """
        bounds = _Bounds(metrics, bytes)
        with self._database.snapshot() as connection:
            for item in _waiting(connection, sink, after or _START):
                for piece in payload.read(connection, *item):
                    bounds.take(item.reading_id, piece)
                    if bounds.full:
                        return bounds.packed()
        return bounds.packed()

    def waiting_for(self, collector_id: str) -> list[str]:
        """Return the sinks for which readings of a collector are pending."""
        with self._database.snapshot() as connection:
            rows = connection.execute(
                """
                SELECT name FROM sink WHERE EXISTS (
                    SELECT 1 FROM pending JOIN run ON run.id = reading
                    WHERE pending.sink = sink.number
                        AND run.collector = (SELECT number FROM collector WHERE id = ?)
                ) ORDER BY name
                """,
                (collector_id,),
            ).fetchall()
        return [name for (name,) in rows]

    def acknowledge(self, sink: str, items: Iterable[Item], *, at: datetime) -> None:
        """Note that a sink has these metrics. What is not pending is passed over."""
        self.settle([Settled(sink, delivered=items)], at=at)

    def bury(
        self,
        sink: str,
        letters: Iterable[Letter],
        *,
        at: datetime,
        delivered: Iterable[Item] = (),
    ) -> None:
        """Make dead letters of what a sink refused for good, and acknowledge what it took.

        One transaction; what is not pending is passed over.
        """
        self.settle([Settled(sink, delivered, letters)], at=at)

    def settle(self, parts: Sequence[Settled], *, at: datetime) -> None:
        """Note, in one transaction, what several sinks took and what they refused for good."""
        # An acknowledgement that is lost with the power has its metrics sent again, no more.
        lasting = any(part.refused for part in parts)
        with self._database.transaction(repeatable=not lasting) as connection:
            for part in parts:
                row = find_sink(connection, part.sink)
                if row is not None:
                    _note_delivered(connection, row.number, part.delivered, micros(at))
                    _note_refused(connection, row.number, part.refused, micros(at))

    def drop(self, sink: str, *, at: datetime | None = None) -> int:
        """End what is pending for a sink that is no longer configured; return how many metrics.

        Its readings are listed as dropped. A sink that is configured loses nothing: some of it
        may be on its way.
        """
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT number, metrics FROM sink WHERE name = ? AND NOT configured", (sink,)
            ).fetchone()
            if row is None:
                return 0
            number, metrics = row
            connection.execute(
                """
                INSERT INTO dropped (run, sink, metrics, at)
                SELECT reading, sink, sum(last - first), ? FROM pending WHERE sink = ?
                GROUP BY reading
                ON CONFLICT (run, sink) DO UPDATE
                SET metrics = metrics + excluded.metrics, at = excluded.at
                """,
                (micros(at or datetime.now(UTC)), number),
            )
            connection.execute("DELETE FROM pending WHERE sink = ?", (number,))
            connection.execute("UPDATE sink SET metrics = 0, bytes = 0 WHERE number = ?", (number,))
        return int(metrics)


@define
class _Bounds:
    """A batch as it fills."""

    metrics: int
    room: int
    parts: list[bytes] = field(factory=list)
    items: list[Item] = field(factory=list)
    full: bool = False

    def take(self, reading: int, piece: payload.Piece) -> None:
        """Take as many whole lines from the front as fit."""
        first, last, lines = piece
        count = last - first
        if count > self.metrics or len(lines) > self.room:
            self.full = True
            count, lines = self._front(lines)
        if count:
            self.parts.append(lines)
            self.items.append(Item(reading, first, first + count))
            self.metrics -= count
            self.room -= len(lines)
        self.full = self.full or self.metrics <= 0 or self.room <= 0

    def packed(self) -> Packed | None:
        """Return the batch; None where there was nothing to take."""
        if not self.items:
            return None
        return Packed(Batch.of_lines(b"".join(self.parts)), tuple(_joined(self.items)))

    def _front(self, lines: bytes) -> tuple[int, bytes]:
        count = end = 0
        while count < self.metrics and end < len(lines):
            following = lines.index(b"\n", end) + 1
            if following > self.room and (count or self.parts):
                break
            count, end = count + 1, following
            if end > self.room:  # a single larger metric
                break
        return count, lines[:end]


def _joined(items: Sequence[Item]) -> Iterator[Item]:
    """Join items, in order, that follow on each other."""
    item = items[0]
    for each in items[1:]:
        if (each.reading_id, each.first) == (item.reading_id, item.last):
            item = Item(item.reading_id, item.first, each.last)
        else:
            yield item
            item = each
    yield item


def _waiting(connection: Connection, sink: str, after: Position) -> Iterator[Item]:
    rows = connection.execute(
        "SELECT reading, first, last FROM pending"
        " WHERE sink = (SELECT number FROM sink WHERE name = ?) AND reading >= ?"
        " ORDER BY reading, first",
        (sink, after.reading_id),
    )
    for reading, first, last in rows:
        start = max(first, after.index) if reading == after.reading_id else first
        if start < last:
            yield Item(reading, start, last)


def _note_delivered(connection: Connection, sink: int, items: Iterable[Item], at: int) -> None:
    taken, _ = _take(connection, sink, items)
    readings = dict.fromkeys(item.reading_id for item in taken)
    if readings:
        connection.executemany(
            "INSERT INTO delivery (reading, sink, at) VALUES (?, ?, ?)"
            " ON CONFLICT (reading, sink) DO UPDATE SET at = excluded.at",
            [(reading, sink, at) for reading in readings],
        )


def _note_refused(connection: Connection, sink: int, letters: Iterable[Letter], at: int) -> None:
    reasons = {Position(*letter[:2]): letter.reason for letter in letters}
    taken, freed = _take(connection, sink, items_of(sorted(reasons)))
    if taken:
        connection.executemany(
            "INSERT INTO dead (sink, reading, position, reason, at) VALUES (?, ?, ?, ?, ?)",
            [(sink, *place, reasons[place], at) for place in _positions(taken)],
        )
        change_totals(connection, (sink,), 0, 0, dead=freed)


def _take(connection: Connection, sink: int, items: Iterable[Item]) -> tuple[list[Item], int]:
    """Take metrics out of an outbox; return those that were in it, and their bytes."""
    taken: list[Item] = []
    freed = 0
    for reading, first, last in items:
        rows = connection.execute(
            "SELECT first, last, bytes FROM pending"
            " WHERE sink = ? AND reading = ? AND first < ? AND last > ?",
            (sink, reading, last, first),
        ).fetchall()
        for start, end, size in rows:
            item = Item(reading, max(first, start), min(last, end))
            freed += _cut_out(connection, sink, item, (start, end, size))
            taken.append(item)
    if taken:
        change_totals(connection, (sink,), -sum(item.last - item.first for item in taken), -freed)
    return taken, freed


def _cut_out(connection: Connection, sink: int, item: Item, row: tuple[int, int, int]) -> int:
    """Take an item out of a row that holds it; return how many bytes it was."""
    reading, first, last = item
    start, end, size = row
    connection.execute(
        "DELETE FROM pending WHERE sink = ? AND reading = ? AND first = ?", (sink, reading, start)
    )
    if (first, last) == (start, end):
        return size
    before = payload.size(connection, reading, start, first) if start < first else 0
    behind = payload.size(connection, reading, last, end) if last < end else 0
    rest = [(start, first, before), (last, end, behind)]
    make_pending(connection, ((sink, Item(reading, *part[:2]), part[2]) for part in rest))
    return size - before - behind


def make_pending(connection: Connection, parts: Iterable[tuple[int, Item, int]]) -> None:
    """Make metrics, so many bytes, pending for a sink; totals are the caller's.

    Empty items are passed over.
    """
    connection.executemany(
        "INSERT INTO pending (sink, reading, first, last, bytes) VALUES (?, ?, ?, ?, ?)",
        [(sink, *item, size) for sink, item, size in parts if item.first < item.last],
    )


def _positions(items: Iterable[Item]) -> Iterator[Position]:
    for reading, first, last in items:
        for index in range(first, last):
            yield Position(reading, index)
