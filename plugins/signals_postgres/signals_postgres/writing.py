"""A connection that writes: batches in transactions, limited in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Timer
from typing import Any

import psycopg
from attrs import define, field
from psycopg import RawCursor, sql
from psycopg.rows import tuple_row

from signals_core import Batch, Secret
from signals_postgres.reading import Link, connect
from signals_postgres.refusals import Destination
from signals_postgres.session import hang_up
from signals_postgres.table import Table

_MARGIN = 5.0  # for the server to end by itself what takes too long

# A server that is told not to wait for its disk would lose what it has accepted.
_BEGIN = sql.SQL(
    "BEGIN ISOLATION LEVEL READ COMMITTED;"
    "SET LOCAL statement_timeout = {milliseconds};"
    "SET LOCAL idle_in_transaction_session_timeout = {milliseconds};"
    "SET LOCAL application_name = 'signals sink';"
    "SELECT set_config('synchronous_commit', 'on', true)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)
_MAY_CREATE = """
    SELECT name, has_schema_privilege(name, 'CREATE')
    FROM coalesce($1::text, current_schema(), 'public') AS name
"""

Explain = Callable[[psycopg.Error], Exception]


@define(eq=False)
class Writer:
    """Writes batches into one table. Building it connects; raises `Unavailable`."""

    _uri: Secret
    _table: Table
    _connect_timeout: timedelta = field(kw_only=True)
    _seconds: float = field(kw_only=True)
    _may_create: bool = field(kw_only=True)
    _link: Link = field(init=False)

    @_link.default
    def _connected(self) -> Link:
        return connect(self._uri, self._connect_timeout)

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def write(self, batch: Batch) -> None:
        """Write `batch` in one transaction. Raises `Unavailable` or `Rejected`."""
        if self._may_create:
            self._create()
        with self._transaction(lambda error: self._destination.of_write(error, batch)):
            self._run(self._table.upsert, batch.json_array().decode())

    def check(self) -> None:
        """Have the server plan a write: it looks at columns and rights as for a real one."""
        with self._transaction(self._destination.of_check):
            if self._run("SHOW transaction_read_only") == [("on",)]:
                raise self._destination.read_only()
            self._run("SET TRANSACTION READ ONLY")
            if self._may_create and self._is_missing(self._table.quoted):
                self._look_for_the_right_to_create()
            else:
                self._run(f"EXPLAIN {self._table.upsert}", "[]")

    def _create(self) -> None:
        """Make table, index and view where they are missing."""
        with self._transaction(self._destination.of_creation):
            self._run("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", self._table.quoted)
            if self._is_missing(self._table.quoted):
                self._run(self._table.create_table)
                self._run(self._table.create_index)
            if self._is_missing(self._table.view):
                self._run(self._table.create_view)
        self._may_create = False

    def _is_missing(self, relation: str) -> bool:
        return self._run("SELECT to_regclass($1)", relation) == [(None,)]

    def _look_for_the_right_to_create(self) -> None:
        [(schema, may)] = self._run(_MAY_CREATE, self._table.schema)
        if not may:
            raise self._destination.uncreatable(schema)

    @property
    def _destination(self) -> Destination:
        return Destination(self._link.target, self._link.connection.info.user, self._table)

    @contextmanager
    def _transaction(self, explain: Explain) -> Iterator[None]:
        """Commit what is run inside, or nothing of it."""
        try:
            self._begin()
            with self._deadline():
                yield
                self._link.connection.execute(b"COMMIT")
        except BaseException as error:
            with suppress(psycopg.Error):
                self._link.connection.execute(b"ROLLBACK")
            if isinstance(error, psycopg.Error):
                raise explain(error) from error
            raise

    def _begin(self) -> None:
        try:
            self._begin_at_once()
        except psycopg.OperationalError:
            # The server may have restarted since the last batch.
            if not self._link.connection.closed:
                raise
            self._link = self._connected()
            self._begin_at_once()

    def _begin_at_once(self) -> None:
        text = _BEGIN.format(milliseconds=max(1, int(self._seconds * 1000)))
        with self._deadline():
            self._link.connection.execute(text.as_bytes(self._link.connection))

    @contextmanager
    def _deadline(self) -> Iterator[None]:
        """Hang up on a server that does not even end what it should."""
        seconds = self._seconds + min(self._seconds, _MARGIN)
        timer = Timer(seconds, hang_up, (self._link.connection,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def _run(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        with RawCursor(self._link.connection, row_factory=tuple_row) as cursor:
            cursor.execute(text.encode(), values)
            return cursor.fetchall() if cursor.description else []
