"""One writing process per state directory."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path

from signals_core.store.errors import StoreLocked, explained

_POLL_SECONDS = 0.1


class StateLock:
    """The lock of a state directory, held until `release` or the end of the process.

    The file stays: what counts is the lock on it. It says who holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with explained(path):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def acquire(self, wait_seconds: float) -> None:
        """Take the lock. Raises `StoreLocked` when another process keeps it for so long."""
        # One that only looks whether somebody has it holds it for an instant.
        deadline = time.monotonic() + max(wait_seconds, 2 * _POLL_SECONDS)
        while not self._try():
            if (left := deadline - time.monotonic()) <= 0:
                raise StoreLocked(
                    f"the state directory {self._path.parent} is in use by {self._holder()} "
                    "(stop it, wait for it with --wait-lock, or name another with --state-dir)"
                )
            time.sleep(min(_POLL_SECONDS, left))
        with explained(self._path):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)

    def release(self) -> None:
        """Let the lock go; may be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _try(self) -> bool:
        with explained(self._path):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def _holder(self) -> str:
        return os.pread(self._file, 200, 0).decode(errors="replace") or "another process"
