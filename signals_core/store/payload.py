"""The metrics of a reading as stored: chunks of JSON lines, so that no reading is too large."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from signals_core.store.database import Connection

_CHUNK_BYTES = 128 << 10
COUNT_BITS = 16  # a reading has at most 65 536 chunks, 8 GiB


class Piece(NamedTuple):
    """The lines of the metrics `[first, last)` of a reading."""

    first: int
    last: int
    lines: bytes


def write(connection: Connection, reading: int, lines: bytes, count: int) -> None:
    """Store the `count` lines of a reading."""
    first = 0
    for number, part in enumerate(_cut(lines)):
        if number >> COUNT_BITS:
            raise ValueError(f"a reading of {len(lines)} bytes is too large to be stored")
        # Counting takes as long as hashing: most readings are one chunk, and counted already.
        last = count if len(part) == len(lines) else first + part.count(b"\n")
        connection.execute(
            "INSERT INTO chunk (id, first, last, lines) VALUES (?, ?, ?, ?)",
            (reading << COUNT_BITS | number, first, last, part),
        )
        first = last


def read(connection: Connection, reading: int, first: int, last: int) -> Iterator[Piece]:
    """Yield the lines of the metrics `[first, last)`, piece by piece, in order."""
    chunks = connection.execute(
        "SELECT first, last, lines FROM chunk"
        " WHERE id >= ? AND id < ? AND last > ? AND first < ? ORDER BY id",
        (reading << COUNT_BITS, (reading + 1) << COUNT_BITS, first, last),
    )
    for start, end, lines in chunks:
        if last < end:
            lines = lines[: offset(lines, last - start)]  # noqa: PLW2901 - less of the same
        if start < first:
            lines = lines[offset(lines, first - start) :]  # noqa: PLW2901 - less of the same
        yield Piece(max(first, start), min(last, end), lines)


def whole(connection: Connection, reading: int) -> bytes:
    """Return all lines of a reading."""
    chunks = connection.execute(
        "SELECT lines FROM chunk WHERE id >= ? AND id < ? ORDER BY id",
        (reading << COUNT_BITS, (reading + 1) << COUNT_BITS),
    )
    return b"".join(lines for (lines,) in chunks)


def size(connection: Connection, reading: int, first: int, last: int) -> int:
    """Return how many bytes the metrics `[first, last)` take."""
    return sum(len(piece.lines) for piece in read(connection, reading, first, last))


def delete(connection: Connection, readings: Iterable[int]) -> None:
    """Delete the lines of readings."""
    connection.executemany(
        "DELETE FROM chunk WHERE id >= ? AND id < ?",
        [(reading << COUNT_BITS, (reading + 1) << COUNT_BITS) for reading in readings],
    )


def holding(connection: Connection, text: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield the first line of each chunk that begins with `text`, newest reading first.

    Comes with the reading and the index of the metric. Every chunk is looked at, in SQLite: an
    index of all uuids would be as large as the readings.
    """
    chunks = connection.execute(
        "SELECT id, first, lines FROM chunk WHERE instr(lines, ?) ORDER BY id DESC", (text,)
    )
    for number, first, lines in chunks:
        start = lines.index(text)
        end = lines.index(b"\n", start)
        yield number >> COUNT_BITS, first + lines.count(b"\n", 0, start), lines[start:end]


def offset(lines: bytes, count: int) -> int:
    """Return where the line `count` begins."""
    return len(lines) - len(lines.split(b"\n", count)[-1])


def _cut(lines: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(lines):
        end = lines.rfind(b"\n", start, start + _CHUNK_BYTES) + 1
        end = end or lines.index(b"\n", start) + 1  # a line larger than a chunk
        yield lines[start:end]
        start = end
