"""The source `sqlite`."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import define

from signals_core import Cancelled, Request, Row, Source, Unavailable
from signals_core.builtin.parameters import parameters_of, text_of, without_end

_READING: Final = (
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
)
_OTHER: Final = {
    getattr(sqlite3, f"SQLITE_{name}"): name.replace("_", " ")
    for name in (
        "ALTER_TABLE ANALYZE ATTACH CREATE_INDEX CREATE_TABLE CREATE_TEMP_INDEX CREATE_TEMP_TABLE "
        "CREATE_TEMP_TRIGGER CREATE_TEMP_VIEW CREATE_TRIGGER CREATE_VIEW CREATE_VTABLE DELETE "
        "DETACH DROP_INDEX DROP_TABLE DROP_TEMP_INDEX DROP_TEMP_TABLE DROP_TEMP_TRIGGER "
        "DROP_TEMP_VIEW DROP_TRIGGER DROP_VIEW DROP_VTABLE INSERT PRAGMA REINDEX SAVEPOINT "
        "TRANSACTION UPDATE"
    ).split()
}
_BROKEN: Final = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PERM,
)
_STEPS = 10_000
_STEPS_OF_NOTHING = 1000
_PATIENCE = 5.0
_PAUSE = 0.05


@define
class Sqlite(Source):
    """Reads a SQLite database, and cannot write to it.

    A reading sees one snapshot: what was committed when its query began. The window's bounds are
    text as SQLite's own `datetime()` writes it, `2026-01-01 00:00:00`, in UTC, or on the wall clock
    of the grain's zone with `_local`. A column that holds times written otherwise goes through
    that function too: `datetime(signup_time) >= :window_start`.
    """

    path: Path
    """The file of the database."""

    @define
    class Query:
        """What to read."""

        sql: str
        """One `SELECT`, which may use `:window_start`, `:window_end` and their `_local` forms."""

    def open(self) -> None:
        """Make sure that the database is there. Each reading has a connection of its own."""
        with self._problems_named(), closing(self._connect(_PATIENCE)) as connection:
            connection.execute("PRAGMA schema_version")

    def parameters(self, query: Query) -> set[str]:
        """Return the window names that the query uses."""
        return parameters_of(query.sql)

    def check(self, query: Query) -> list[str] | None:
        """Prepare the query and return its columns.

        None where SQLite would have to run it to tell them: where a common table expression is
        used more than once.
        """
        bound = dict.fromkeys(parameters_of(query.sql), "")
        with self._problems_named(), closing(self._connect(_PATIENCE)) as connection:
            refused = _only_reading(connection)
            with _explained(refused):
                connection.execute(f"EXPLAIN {query.sql}", bound)
                columns = _columns_unread(connection, query.sql, bound)
        if columns is None:
            return None
        _refuse_twins(_as_written(columns))
        return columns

    def read(self, request: Request) -> Iterator[Row]:
        """Yield the rows as they come, of one snapshot."""
        sql: str = request.query.sql
        window = request.window.parameters if request.window else {}
        bound = {name: text_of(window[name]) for name in parameters_of(sql) if name in window}
        with self._problems_named(), closing(self._connect(0)) as connection:
            connection.set_progress_handler(lambda: _is_over(request), _STEPS)
            refused = _only_reading(connection)
            # Counting a whole table is one step to SQLite: only an interrupt ends that.
            with request.on_cancel(connection.interrupt), _told(request), _explained(refused):
                cursor = _started(connection, sql, bound, request)
                columns = _columns(cursor)
                _refuse_twins(columns)
                for values in cursor:
                    yield dict(zip(columns, values, strict=True))

    def _connect(self, patience: float) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=patience,
            isolation_level=None,
            check_same_thread=False,
        )

    @contextmanager
    def _problems_named(self) -> Iterator[None]:
        """Tell a database that cannot be used from a query that cannot be run."""
        try:
            yield
        except sqlite3.Error as error:
            if (getattr(error, "sqlite_errorcode", 0) & 0xFF) not in _BROKEN:
                raise
            raise Unavailable(f"{self.path}: {self._reason(error)}") from error

    def _reason(self, error: sqlite3.Error) -> str:
        if not self.path.exists():
            return "no such file"
        return str(error) if self.path.is_file() else "this is no file"


def _only_reading(connection: sqlite3.Connection) -> list[str]:
    """Let the connection read and do nothing else; what was refused is put into the list."""
    refused = []

    def authorize(action: int, first: str | None, *_rest: str | None) -> int:
        if action in _READING:
            return sqlite3.SQLITE_OK
        refused.append(f"{_OTHER.get(action, 'it')} {first or ''}".strip())
        return sqlite3.SQLITE_DENY

    connection.set_authorizer(authorize)
    return refused


@contextmanager
def _explained(refused: Sequence[str]) -> Iterator[None]:
    """Say of a query that was refused what it wanted to do."""
    try:
        yield
    except sqlite3.ProgrammingError as error:
        if "one statement at a time" not in str(error):
            raise
        raise ValueError("refused: several commands, a query is a single one") from error
    except sqlite3.DatabaseError as error:
        if not refused:
            raise
        raise ValueError(f"refused: {refused[0]}, a query may only read") from error


@contextmanager
def _told(request: Request) -> Iterator[None]:
    """Give the reason why a query was interrupted."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            request.check()
        raise


def _is_over(request: Request) -> bool:
    try:
        request.check()
    except Cancelled:
        return True
    return False


def _started(
    connection: sqlite3.Connection, sql: str, bound: Mapping[str, Any], request: Request
) -> sqlite3.Cursor:
    """Begin the query, waiting a little for a writer that holds the database."""
    patience = _PATIENCE
    while True:
        try:
            return connection.execute(sql, bound)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or patience <= 0:
                raise
        request.wait(_PAUSE)
        patience -= _PAUSE


def _columns(cursor: sqlite3.Cursor) -> list[str]:
    if cursor.description is None:
        raise ValueError("the query returns no columns")
    return [name for name, *_ in cursor.description]


def _columns_unread(
    connection: sqlite3.Connection, sql: str, bound: Mapping[str, str]
) -> list[str] | None:
    """Return the columns of a query of which nothing is run, None where that cannot be."""
    connection.set_progress_handler(lambda: True, _STEPS_OF_NOTHING)
    of_no_rows = f"SELECT * FROM (\n{without_end(sql)}\n) LIMIT 0"  # noqa: S608 - it is the query
    try:
        return _columns(connection.execute(of_no_rows, bound))
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return None
        raise


def _as_written(columns: Sequence[str]) -> list[str]:
    """Undo the numbers that SQLite gives within a wrapper to a name that comes again: `a:1`."""
    bases = [re.sub(r":\d+$", "", name) for name in columns]
    return [base if base in columns else name for base, name in zip(bases, columns, strict=True)]


def _refuse_twins(columns: Sequence[str]) -> None:
    for name in columns:
        if columns.count(name) > 1:
            raise ValueError(f"two columns have the name {name} (give one another with AS)")
