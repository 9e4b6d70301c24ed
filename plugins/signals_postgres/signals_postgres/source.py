"""The source `postgres`. Importing this module does not import the driver."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from attrs import Attribute, define, field

from signals_core import Request, Row, Secret, Source
from signals_postgres.parameters import Statement, translate
from signals_postgres.pool import Pool

_log = logging.getLogger("signals.postgres")

_OWN_SECONDS = 10.0
_REMEMBERED = 1000
_PATIENCE = 24 * 60 * 60.0  # our own small queries wait for a connection, however long


@define
class Postgres(Source):
    """Rows of an SQL query on PostgreSQL.

    A reading is one `REPEATABLE READ READ ONLY` transaction: all its rows are of one snapshot. It
    is limited in time at the server, and nothing it does outlives it.
    """

    uri: Secret
    """Where the database is: `postgresql://user:password@host:5432/database`.

    What libpq knows (`sslmode`, `sslrootcert`, …) may follow as parameters. One that names several
    hosts must name the primary: `target_session_attrs=read-write`.
    """

    timezone: str = field(default="UTC")
    """The session's time zone: what a `timestamp` without zone means when it meets an instant."""

    watermark_from: str = field(default="auto", alias="watermark")
    """Up to which instant all data is there.

    `auto`: a primary's clock, or what a standby has replayed. `clock`: the clock of signals. Else
    an SQL query of one `timestamptz`, for tables that another job fills.
    """

    connect_timeout: timedelta = timedelta(seconds=10)
    """How long to wait for a connection."""

    _pool: Pool = field(init=False, eq=False, repr=False)
    _passed: set[str] = field(init=False, eq=False, repr=False, factory=set)

    @define
    class Query:
        """What to ask the database."""

        sql: str
        """One query.

        `:window_start` and `:window_end` are the window's bounds as `timestamptz`,
        `:window_start_local` and `:window_end_local` the same as `timestamp`, in the grain's zone.
        """

    @timezone.validator
    def _is_a_zone(self, attribute: Attribute[str], value: str) -> None:
        try:
            ZoneInfo(value)
        except (OSError, ValueError, LookupError):
            raise ValueError(
                f"timezone: {value!r} is no time zone (write it like UTC or Europe/Paris)"
            ) from None

    @watermark_from.validator
    def _is_a_watermark(self, attribute: Attribute[str], value: str) -> None:
        if value in ("auto", "clock"):
            return
        try:
            statement = translate(value)
        except ValueError as error:
            raise ValueError(f"watermark: {error}") from None
        if statement.names:
            raise ValueError(f"watermark: there is no :{statement.names[0]} (it has no window)")
        if len(value.split()) == 1:
            raise ValueError(f"watermark: {value!r} is unknown (write auto, clock or an SQL query)")

    @_pool.default
    def _empty_pool(self) -> Pool:
        return Pool(self.max_connections, self._connect)

    def open(self) -> None:
        """Connect once. Raises `Unavailable` when that is impossible."""
        with self._own_reading("open", translate("SELECT 1")):
            pass

    def close(self) -> None:
        """Close what is idle."""
        self._pool.close()

    def parameters(self, query: Query) -> set[str]:
        """Return the window names that the SQL uses."""
        return set(translate(query.sql).names)

    def check(self, query: Query) -> list[str]:
        """Have the server parse and plan the query, and return its columns."""
        from signals_postgres import advice, session

        statement = translate(query.sql)
        with self._own_reading("check", statement) as (connection, _):
            columns = session.columns_of(connection, statement)
            for warning in advice.advise(connection, statement):
                _log.warning(warning)
        return columns

    def watermark(self) -> datetime | None:
        """Return up to when a reading shows all data; None when our own clock says so."""
        if self.watermark_from == "clock":
            return None
        from signals_postgres import watermark

        if self.watermark_from == "auto":
            with self._own_reading("watermark", watermark.SERVER) as (connection, _):
                return watermark.of_server(connection)
        statement = translate(self.watermark_from)
        with self._own_reading("watermark", statement) as (connection, request):
            return watermark.of_query(connection, statement, request)

    def read(self, request: Request) -> Iterator[Row]:
        """Yield the rows of one snapshot: a single `REPEATABLE READ READ ONLY` transaction."""
        from signals_postgres import session

        statement = translate(request.query.sql)
        values = _values(statement, request)
        with self._reading(request, statement, lambda: _server_seconds(request)) as connection:
            if statement.text not in self._passed:
                session.columns_of(connection, statement)
                self._pass(statement.text)
            yield from session.rows(connection, statement, values, request)

    def _pass(self, text: str) -> None:
        if len(self._passed) >= _REMEMBERED:
            self._passed.clear()
        self._passed.add(text)

    def _connect(self) -> Any:
        from signals_postgres.reading import connect

        return connect(self.uri, self.connect_timeout)

    def _reading(
        self, request: Request, statement: Statement, seconds: Callable[[], float]
    ) -> AbstractContextManager[Any]:
        from signals_postgres.reading import reading

        return reading(
            self._pool, request, timezone=self.timezone, seconds=seconds, statement=statement
        )

    @contextmanager
    def _own_reading(self, purpose: str, statement: Statement) -> Iterator[tuple[Any, Request]]:
        request = Request("", timeout=_PATIENCE, origin=f"signals {purpose}")
        with self._reading(request, statement, lambda: _OWN_SECONDS) as connection:
            yield connection, request


def _values(statement: Statement, request: Request) -> list[datetime]:
    if not statement.names:
        return []
    if request.window is None:
        raise ValueError(f"the query uses :{statement.names[0]}, but there is no window")
    return statement.values(request.window.parameters)


def _server_seconds(request: Request) -> float:
    """Return a little less than what is left, so that it is the server that ends the query."""
    left = request.timeout
    return max(left - min(0.5, left * 0.05), 0.001)
