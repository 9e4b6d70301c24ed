"""The sink `file`."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field

from signals_core import Batch, Sink, Unavailable

_BLOCK = 65_536


@define
class File(Sink):
    """Appends metrics to a file as JSON lines, whole ones only.

    What was accepted is on the disk: it is written through before the metrics count as delivered.
    A torn last line, left by a crash, is cut before anything is appended, and a file that was
    rotated away is made anew. The folder must exist.
    """

    path: Path
    """The file, relative to the file that names it."""

    _descriptor: int | None = field(init=False, eq=False, repr=False, default=None)

    def open(self) -> None:
        """Open or create the file, and cut a torn last line."""
        with self._named(), self._locked() as descriptor:
            _cut_torn_line(descriptor)

    def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def write(self, batch: Batch) -> None:
        """Append `batch` and write it through."""
        with self._named(), self._locked() as descriptor:
            end = _cut_torn_line(descriptor)
            try:
                _write_all(descriptor, batch.json_lines())
                _write_through(descriptor)
            except OSError:
                _shorten(descriptor, end)
                raise

    def check(self) -> None:
        """See that the file, or one in its folder, may be written. Creates nothing."""
        with self._named():
            if self.path.exists():
                os.close(os.open(self.path, os.O_WRONLY | os.O_APPEND))
            elif not self.path.parent.is_dir():
                raise FileNotFoundError(2, "its folder does not exist")
            elif not os.access(self.path.parent, os.W_OK | os.X_OK):
                raise PermissionError(13, "its folder may not be written")

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unavailable(f"the file {self.path}: {error.strerror or error}") from error

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Hold the file that now has this path against other processes that append to it."""
        descriptor = self._current()
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield descriptor
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _current(self) -> int:
        if self._descriptor is not None and not _is_same(self._descriptor, self.path):
            self.close()
        if self._descriptor is None:
            is_new = not self.path.exists()
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, 0o666)
            if is_new:
                _write_through_folder(self.path.parent)
        return self._descriptor


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _is_regular(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def _cut_torn_line(descriptor: int) -> int:
    """Cut what follows the last line break, and return where the file then ends."""
    if not _is_regular(descriptor):
        return 0
    end = size = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _BLOCK)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        end = start if found < 0 else start + found + 1
        if found >= 0:
            break
    if end < size:
        os.ftruncate(descriptor, end)
    return end


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _write_through(descriptor: int) -> None:
    if _is_regular(descriptor):
        os.fsync(descriptor)


def _shorten(descriptor: int, end: int) -> None:
    if _is_regular(descriptor):
        os.ftruncate(descriptor, end)


def _write_through_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
