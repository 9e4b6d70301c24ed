"""The store, put together from its parts."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from signals_core.store.collectors import Versions
from signals_core.store.configuration import Configuration
from signals_core.store.coverage import Coverages
from signals_core.store.database import Database
from signals_core.store.dead import DeadLetters
from signals_core.store.errors import StoreError, explained
from signals_core.store.lock import StateLock
from signals_core.store.outbox import Outbox
from signals_core.store.pauses import Pauses
from signals_core.store.readings import Readings
from signals_core.store.recent import Recent
from signals_core.store.requests import Requests
from signals_core.store.retention import Retention
from signals_core.store.runs import Runs
from signals_core.store.sinks import Sinks
from signals_core.tally import Histogram

_FILE = "store.db"
_LIMIT_BYTES = 1 << 30


class Store(
    Coverages,
    Versions,
    Readings,
    Outbox,
    DeadLetters,
    Sinks,
    Runs,
    Recent,
    Requests,
    Pauses,
    Configuration,
    Retention,
):
    """The state of one state directory. Its functions are transactions, safe to call from threads.

    Make one with `Store.open`, in the one process that writes, or with `Store.look` beside it.
    A context manager: leaving closes it. Everything may raise `StoreError`; whatever writes,
    `StoreFull`.
    """

    def __init__(
        self, database: Database, lock: StateLock | None = None, limit_bytes: int = _LIMIT_BYTES
    ) -> None:
        self._database = database
        self._lock = lock
        self._limit_bytes = limit_bytes

    @classmethod
    def open(
        cls, folder: Path, *, wait_seconds: float = 0, limit_bytes: int = _LIMIT_BYTES
    ) -> Self:
        """Open a state directory as its one writer, making or upgrading it where needed.

        Waits up to `wait_seconds` for another process to let go of it, and raises `StoreLocked`
        when it does not. `limit_bytes` bounds the outbox of each sink.
        """
        with explained(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = StateLock(folder / "lock")
        try:
            lock.acquire(wait_seconds)
            return cls(Database.write(folder / _FILE), lock, limit_bytes)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def look(cls, folder: Path) -> Self:
        """Open a state directory for reading and for leaving requests, beside its writer.

        Raises `StoreError` where there is none.
        """
        return cls(Database.read(folder / _FILE))

    @property
    def commits(self) -> Histogram:
        """How long transactions took that wrote, since the store was opened."""
        return self._database.commits

    @property
    def trouble(self) -> str | None:
        """Why the last transaction that wrote failed, or why a reading finds no room; else None."""
        return self._database.trouble

    @property
    def limit_bytes(self) -> int:
        """The bound of the outbox of each sink, dead letters included."""
        return self._limit_bytes

    def try_to_write(self) -> None:
        """Write to the disk, and change nothing. Raises `StoreError` when that cannot be."""
        with self._database.transaction() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(f"PRAGMA user_version = {version}")

    def check_place(self) -> None:
        """Raise `StoreError` where the file was deleted or replaced since it was opened."""
        if not self._database.is_in_place:
            raise StoreError(f"{self._database.path} was deleted or replaced while signals ran")

    def save(self, at: datetime) -> None:
        """Where the file is no longer in its place, copy all it holds, and raise `StoreError`."""
        if self._database.is_in_place:
            return
        path = self._database.path
        copy = path.with_name(f"{path.name}.saved-{at:%Y%m%dT%H%M%SZ}")
        self._database.copy(copy)
        raise StoreError(
            f"{path} was deleted or replaced while signals ran, so it has stopped: all that it "
            f"held is in {copy} (remove {path.name}, {path.name}-wal and {path.name}-shm, move "
            "the copy to their place, and start again)"
        )

    def close(self) -> None:
        """Close the store and let the directory go; may be called twice."""
        self._database.close()
        if self._lock:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
