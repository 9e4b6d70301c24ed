"""The connection to the store's file, and its transactions."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import RLock
from time import monotonic, perf_counter
from typing import Any

from signals_core.store import schema
from signals_core.store.errors import StoreError, StoreFull, damaged, explained, no_locks
from signals_core.tally import COMMIT_SECONDS, Histogram

_BUSY_SECONDS = 30.0
_LOG_BYTES = 64 << 20  # what the log shrinks to after a burst
_NO_ROOM_SECONDS = 300.0  # longer than the pause before what found no room is tried again

Connection = sqlite3.Connection


class Database:
    """One connection, used by one thread at a time.

    `commits` counts how long transactions took that wrote, the wait for their turn included.
    """

    def __init__(self, path: Path, connection: Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = RLock()
        self._synchronous: str | None = None
        with explained(path):
            self._identity = path.stat()
        self.commits = Histogram(COMMIT_SECONDS)
        self._last_trouble: str | None = None
        self._no_room: dict[str, tuple[float, str]] = {}

    @classmethod
    def write(cls, path: Path) -> Database:
        """Open the store for its one writer; make or upgrade it where needed."""
        with explained(path):
            log = Path(f"{path}-wal")
            if not path.exists():
                # A log without its file would be replayed into the new one.
                if log.exists() and log.stat().st_size:
                    raise damaged(path, f"the file is gone, and {log.name} beside it is not")
                schema.create(path)
            connection = _connect(path, "rw")
            try:
                version = schema.refuse_strangers(connection, path)
                schema.refuse_damage(connection, path)
                schema.upgrade(connection, path, version)
                _set_up(connection, path)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    @classmethod
    def read(cls, path: Path) -> Database:
        """Open the store beside its writer, for reading."""
        return cls._beside(path, "ro")

    @classmethod
    def add(cls, path: Path) -> Database:
        """Open the store beside its writer, to leave a request."""
        return cls._beside(path, "rw")

    @classmethod
    def _beside(cls, path: Path, mode: str) -> Database:
        with explained(path):
            if not path.exists():
                raise StoreError(
                    f"there is no store in {path.parent} "
                    "(nothing has run there yet; name the state directory with --state-dir)"
                )
            connection = _connect(path, mode)
            try:
                version = schema.refuse_strangers(connection, path)
                if version < schema.VERSION:
                    raise StoreError(
                        f"{path} was written by an older signals (run `signals run` to upgrade it)"
                    )
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    @property
    def trouble(self) -> str | None:
        """Why the last transaction that wrote failed, or why there is no room for what one keeps.

        A small one finds room in the log where a large one finds none: so the latter stands until
        the same is kept, or is not tried any more.
        """
        since = monotonic() - _NO_ROOM_SECONDS
        with self._lock:
            full = [reason for at, reason in self._no_room.values() if at > since]
        return full[-1] if full else self._last_trouble

    @contextmanager
    def transaction(
        self, *, repeatable: bool = False, keeps: str | None = None
    ) -> Iterator[Connection]:
        """Write all of what is done inside, or nothing.

        What is `repeatable`, because it is done again where it is missing, is on the disk no later
        than the next that is not: it outlives a kill at once, but a loss of power only then.
        `keeps` names what the store grows by.
        """
        began = perf_counter()
        try:
            # In a log that is written in order, one sync makes all that came before durable.
            with self._within("BEGIN IMMEDIATE", "NORMAL" if repeatable else "FULL") as connection:
                yield connection
        except StoreError as error:
            with self._lock:
                self._last_trouble = str(error)
                if keeps is not None and isinstance(error, StoreFull):
                    self._no_room[keeps] = monotonic(), str(error)
            raise
        with self._lock:
            self._last_trouble = None
            if keeps is not None:
                self._no_room.pop(keeps, None)
            self.commits.observe(perf_counter() - began)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Read one state of the store."""
        with self._within("BEGIN") as connection:
            yield connection

    def select(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of one statement, which is a snapshot by itself."""
        with self._lock, explained(self.path):
            return self._connection.execute(statement, values).fetchall()

    @contextmanager
    def _within(self, begin: str, synchronous: str | None = None) -> Iterator[Connection]:
        with self._lock, explained(self.path):
            connection = self._connection
            if synchronous not in (None, self._synchronous):
                connection.execute(f"PRAGMA synchronous = {synchronous}")
                self._synchronous = synchronous
            try:
                connection.execute(begin)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # Where the disk is full SQLite has rolled back already.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def vacuum(self, pages: int) -> int:
        """Give up to so many free pages back to the file system; return how many are left."""
        with self._lock, explained(self.path):
            # It has a row without columns for each page: `execute` would stop at the first.
            self._connection.executescript(f"PRAGMA incremental_vacuum({pages})")
            (left,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        return int(left)

    @property
    def is_in_place(self) -> bool:
        """Whether the file that is open is still the one that its path leads to."""
        try:
            return os.path.samestat(self._identity, self.path.stat())
        except FileNotFoundError:
            return False
        except OSError:  # nobody knows, and as long as it can be written it is used
            return True

    def copy(self, path: Path) -> None:
        """Write all that is in the store to a new file, also where its own is no longer there."""
        with self._lock, explained(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            with closing(_connect(path, "rw")) as target:
                self._connection.backup(target)

    def pages(self) -> tuple[int, int]:
        """Return how many pages the file has, and how many of them are free."""
        with self._lock, explained(self.path):
            (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
            (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        return int(pages), int(free)

    def fold_log(self) -> None:
        """Write the log into the file and cut both; where a reader is in the way, another time."""
        with self._lock, explained(self.path):
            self._connection.execute("PRAGMA busy_timeout = 0")
            try:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                self._connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000:.0f}")

    def close(self) -> None:
        """Close the connection; may be called twice."""
        with self._lock:
            self._connection.close()


def _connect(path: Path, mode: str) -> Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )


def _set_up(connection: Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise no_locks(path)
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}").fetchall()
