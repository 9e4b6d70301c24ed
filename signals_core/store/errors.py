"""What goes wrong with a state directory, each in one line with the remedy."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from signals_core.errors import SignalsError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class StoreError(SignalsError):
    """A state directory that cannot be used: it is taken, full, damaged or gone."""


class StoreLocked(StoreError):
    """Another process has the state directory: a request can be left for it."""


class StoreFull(StoreError):
    """There is no room to write: nothing was changed, and it goes on once there is room."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise what SQLite and the system say of the store's file as `StoreError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise _of_sqlite(error, path) from error
    except OSError as error:
        raise of_system(error, path) from error


def of_system(error: OSError, path: Path) -> StoreError:
    """Return what an error of the file system means for the state directory."""
    if error.errno in _NO_ROOM:
        return _full(path, str(error.strerror))
    if error.errno in _NO_LOCKS:
        return no_locks(path)
    return StoreError(
        f"the state directory cannot be used: {path}: {error.strerror} "
        "(make it writable for this user, or name another with --state-dir)"
    )


def no_locks(path: Path) -> StoreError:
    """Return the error for a file system on which two processes cannot be kept apart."""
    return StoreError(
        f"the file system of {path} has no working locks "
        "(name a state directory on a local disk with --state-dir)"
    )


def damaged(path: Path, detail: str) -> StoreError:
    """Return the error for a file that is no longer what was written."""
    return StoreError(
        f"{path} is damaged: {detail} (put a backup in its place, or move it away to begin anew: "
        "windows are then read again from their start, and what was pending is lost)"
    )


def _full(path: Path, detail: str) -> StoreFull:
    return StoreFull(
        f"no room to write {path}: {detail}; nothing was changed "
        "(make room on its disk; a running process then goes on by itself)"
    )


def _of_sqlite(error: sqlite3.Error, path: Path) -> StoreError:
    detail = str(error)
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    if code == sqlite3.SQLITE_IOERR_CORRUPTFS:
        return damaged(path, detail)
    match code & 0xFF:
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            return _full(path, detail)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return damaged(path, detail)
        case sqlite3.SQLITE_PROTOCOL | sqlite3.SQLITE_NOLFS:
            return no_locks(path)
        case sqlite3.SQLITE_BUSY:
            return StoreError(
                f"{path} is locked by another program "
                "(end what has it open; only signals should write it)"
            )
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return StoreError(
                f"{path} cannot be opened: {detail} (be the user that signals runs as)"
            )
        case sqlite3.SQLITE_READONLY:
            return StoreError(
                f"{path} cannot be written: {detail} "
                "(make it writable for this user, or name another directory with --state-dir)"
            )
        case _:
            return StoreError(f"{path}: {detail}")
