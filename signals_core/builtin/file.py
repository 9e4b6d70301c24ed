"""The sink `file`."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_UN, flock
from pathlib import Path

from attrs import define, field

from signals_core import Batch, Sink, Unavailable

_APPENDING = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
_BEGINNING = b'{"uuid":"'


@define
class File(Sink):
    """Appends metrics to a file, one JSON object a line, and only whole lines.

    A batch is accepted when it is on the disk. What a crash or a full disk left of a line is cut
    off. Rotation is followed: when another file, or none, has come to stand at the path, the next
    batch goes there. Several processes may append to the same file.
    """

    path: Path
    """The file; it is made when it is not there, its folder is not."""

    _descriptor: int | None = field(init=False, default=None, eq=False, repr=False)

    def open(self) -> None:
        """Open the file, if it is there, and cut a torn last line."""
        with self._problems_named(), suppress(FileNotFoundError):
            self._attach(create=False)
            with self._locked():
                pass

    def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def write(self, batch: Batch) -> None:
        """Append `batch` and wait until it is on the disk."""
        with self._problems_named(), self._locked() as descriptor:
            _append(descriptor, batch.json_lines())

    def check(self) -> None:
        """Make sure that the file can be appended to, without making or changing it."""
        with self._problems_named():
            try:
                os.close(_regular(self.path, _APPENDING))
            except FileNotFoundError:
                _check_folder(self.path)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """Hold the file that stands at the path now, locked, and without a torn last line."""
        descriptor = self._at_path()
        flock(descriptor, LOCK_EX)
        while not _stands_at(descriptor, self.path):  # rotated while we waited
            descriptor = self._at_path()
            flock(descriptor, LOCK_EX)
        try:
            _cut(descriptor, self.path)
            yield descriptor
        finally:
            flock(descriptor, LOCK_UN)

    def _at_path(self) -> int:
        descriptor = self._descriptor
        if descriptor is not None and _stands_at(descriptor, self.path):
            return descriptor
        return self._attach(create=True)

    def _attach(self, *, create: bool) -> int:
        self.close()
        flags = _APPENDING | (os.O_CREAT if create else 0)
        self._descriptor = descriptor = _regular(self.path, flags)
        _sync_folder(self.path.parent)
        return descriptor

    @contextmanager
    def _problems_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unavailable(f"{self.path}: {error.strerror}") from error


def _regular(path: Path, flags: int) -> int:
    """Open a file that lines can be appended to and cut from again."""
    descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unavailable(f"{path} is no regular file")
    return descriptor


def _stands_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _append(descriptor: int, lines: bytes) -> None:
    end = os.fstat(descriptor).st_size
    try:
        left = memoryview(lines)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            os.ftruncate(descriptor, end)
        raise


def _cut(descriptor: int, path: Path) -> None:
    """Cut what stands behind the last line break, if it is part of a metric."""
    size = os.fstat(descriptor).st_size
    tail = b""
    while b"\n" not in tail and len(tail) < size:
        start = max(0, size - max(1, 2 * len(tail)))
        tail = os.pread(descriptor, size - start, start)
    torn = tail.rpartition(b"\n")[2]
    if not torn:
        return
    if not _is_part_of_metric(torn):
        raise Unavailable(f"{path}: its last line has no end, and is no metric: is it the file?")
    os.ftruncate(descriptor, size - len(torn))


def _is_part_of_metric(line: bytes) -> bool:
    """Whether we may have left `line`: another program's whole object is not ours to cut."""
    if _BEGINNING.startswith(line[: len(_BEGINNING)]):
        return True
    try:
        json.loads(line)
    except ValueError:
        return line.startswith(b"{")
    return False


def _check_folder(path: Path) -> None:
    """Raise `Unavailable` where no file could be made at `path`."""
    if not path.parent.is_dir():
        raise Unavailable(f"{path}: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise Unavailable(f"{path}: the folder {path.parent} is not writable")


def _sync_folder(folder: Path) -> None:
    """Have the file's name outlive a power cut, as far as the folder may be read."""
    with suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
