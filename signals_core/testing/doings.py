"""Seeing what code does to the outside world, without touching the code."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

#: Events of Python's audit that are input or output. `open` is looked at more closely.
_EVENTS = (
    "ftplib.",
    "http.client.",
    "imaplib.",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.listdir",
    "os.mkdir",
    "os.posix_spawn",
    "os.putenv",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.scandir",
    "os.spawn",
    "os.system",
    "os.truncate",
    "poplib.",
    "shutil.",
    "smtplib.",
    "socket.",
    "sqlite3.connect",
    "subprocess.Popen",
    "tempfile.",
    "urllib.Request",
)
#: What Python itself reads behind one's back: modules, and the rules of time zones.
_OWN_FILES = (".py", ".pyc", ".so", ".pyd")


class _Watch(threading.local):
    """What the current thread did since it began to be watched, None while it is not."""

    seen: list[str] | None = None


_watch = _Watch()


@contextmanager
def doings() -> Iterator[list[str]]:
    """Collect the input and output that this thread does inside, and the threads it starts.

    What a library in C does, as a database's driver, shows by the files and sockets that are open
    afterwards and were not before.
    """
    _listen()
    seen: list[str] = []
    before, threads = _descriptors(), set(threading.enumerate())
    _watch.seen = seen
    try:
        yield seen
    finally:
        _watch.seen = None
        seen += [f"it started {each.name}" for each in set(threading.enumerate()) - threads]
        left = _descriptors() - before
        if left and not seen:
            seen.append(f"it left open: {', '.join(sorted(left))}")


@cache
def _listen() -> None:
    """Add the hook, once: it cannot be taken away again."""
    sys.addaudithook(_note)


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    seen = _watch.seen
    if seen is None:
        return
    if event == "open":
        path = str(arguments[0])
        if not path.endswith(_OWN_FILES) and "zoneinfo" not in path:
            seen.append(f"open {path}")
    elif event.startswith(_EVENTS):
        shown = ", ".join(map(_shown, arguments))
        seen.append(f"{event}({shown})")


def _shown(value: Any) -> str:
    """Return a plain value as it is, of anything else its kind: it may not be whole yet."""
    return repr(value) if isinstance(value, (str, bytes, int, tuple)) else type(value).__name__


def _descriptors() -> set[str]:
    """Return what is open, as far as the platform tells."""
    folder = Path("/proc/self/fd")
    found = set()
    for link in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):  # the descriptor that listed the folder is gone
            found.add(str(link.readlink()))
    return found
