"""One reading on one connection: a read-only transaction, the gate before it, rows, the way out."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from threading import Lock
from typing import Any

import psycopg
from attrs import define, field
from psycopg import RawCursor, capabilities, errors, generators, sql
from psycopg.pq import ExecStatus
from psycopg.rows import dict_row

from signals_core import Request
from signals_postgres.failures import QueryError
from signals_postgres.parameters import Statement

_CHUNK = 100  # rows: as quick as thousands, and the most that wait in memory
_LOCK_SECONDS = 10.0
_NAME_BYTES = 63

_BEGIN = (
    b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
    b"SET LOCAL statement_timeout = %d;"
    b"SET LOCAL lock_timeout = %d;"
    b"SET LOCAL idle_in_transaction_session_timeout = %d;"
    b"SET LOCAL application_name = %b;"
    b"SET LOCAL TimeZone = %b;"
    b"SET LOCAL DateStyle = ISO"
)
# A session's advisory locks outlive its transactions, and the connection is used again.
_END = b"ROLLBACK; SELECT pg_advisory_unlock_all()"

Connection = psycopg.Connection[Any]


def begin(connection: Connection, *, seconds: float, origin: str, timezone: str) -> None:
    """Open a read-only transaction, limited in time, in one round trip."""
    milliseconds = max(1, int(seconds * 1000))
    lock, idle = min(milliseconds, int(_LOCK_SECONDS * 1000)), milliseconds + 1000
    name, zone = (sql.Literal(each).as_bytes(connection) for each in (_shortened(origin), timezone))
    _send(connection, _BEGIN % (milliseconds, lock, idle, name, zone))


def end(connection: Connection) -> None:
    """Leave the transaction; what it changed in the session is gone with it."""
    _send(connection, _END)


def columns_of(connection: Connection, statement: Statement) -> list[str]:
    """Have the server parse a query and return the names of its columns; nothing is executed.

    A complete gate without a parser of our own: several commands fail, and whatever is no query
    (COPY, SET, COMMIT, DO, LOCK) has no columns. Raises `QueryError`.
    """
    connection.pgconn.send_prepare(b"", statement.text.encode())
    _result(connection)
    connection.pgconn.send_describe_prepared(b"")
    result = _result(connection)
    names = [(result.fname(index) or b"").decode() for index in range(result.nfields)]
    if not names:
        raise QueryError(
            f"{statement.command} is no query: it returns no columns (write one SELECT)"
        )
    for name in names:
        if names.count(name) > 1:
            raise QueryError(f"two columns are named {name!r} (name them apart with AS)")
    return names


def rows(
    connection: Connection, statement: Statement, values: Sequence[Any], request: Request
) -> Iterator[dict[str, Any]]:
    """Stream the rows of a query, in memory that does not grow with them."""
    size = _CHUNK if capabilities.has_stream_chunked() else 1
    cursor = RawCursor(connection, row_factory=dict_row)
    # A stream always takes the extended protocol, which refuses several commands, even without
    # values. Unlike a declared cursor it leaves parallel plans on.
    stream = cursor.stream(statement.text.encode(), values or None, size=size)
    try:
        for first in stream:
            request.check()
            yield first
            yield from islice(stream, _CHUNK - 1)
    finally:
        stream.close()  # type: ignore[attr-defined]  # typed as an iterator, made by a generator


@define(eq=False)
class Abort:
    """What another thread calls to end a query at the server."""

    _connection: Connection
    called: bool = field(init=False, default=False)
    _over: bool = field(init=False, default=False)
    _lock: Lock = field(init=False, factory=Lock)

    def __call__(self) -> None:
        """Cancel the query; where the server does not answer, hang up."""
        with self._lock:
            if self._over:
                return
            self.called = True
            try:
                self._connection.cancel_safe(timeout=2)
            except psycopg.Error:
                hang_up(self._connection)

    def finish(self) -> None:
        """From now on the connection may serve another query: a late call does nothing."""
        with self._lock:
            self._over = True


@contextmanager
def abortable(connection: Connection, request: Request) -> Iterator[Abort]:
    """Let the query inside be ended by `request.cancel()`."""
    abort = Abort(connection)
    try:
        with request.on_cancel(abort):
            yield abort
    finally:
        abort.finish()


def _send(connection: Connection, commands: bytes) -> None:
    """Have the server do what is our own, in one round trip and without a cursor's work."""
    connection.pgconn.send_query(commands)
    _result(connection)


def _result(connection: Connection) -> Any:
    result = connection.wait(generators.execute(connection.pgconn))[-1]
    if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
        raise errors.error_from_result(result, connection.info.encoding)
    return result


def hang_up(connection: Connection) -> None:
    """End a connection under whoever waits for its server."""
    try:
        with socket.socket(fileno=os.dup(connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)
    except (OSError, psycopg.Error):
        pass  # it is gone already


def _shortened(origin: str) -> str:
    return origin.replace("\0", "").encode(errors="replace")[:_NAME_BYTES].decode(errors="ignore")
