"""What a state directory tells at a glance: who has it, and what it knows."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from signals_core.collector import Collector
    from signals_core.config import Loaded

# A reading of 1 000 metrics takes a good part of it.
_LITTLE_BYTES = 1 << 20


def known_to(folder: Path, collectors: Sequence[Collector]) -> list[str]:
    """Return the names of the collectors of which a state directory keeps readings."""
    from signals_core.store import Store, StoreError

    if not folder.is_dir():
        return []
    try:
        with Store.look(folder) as store:
            return [each.name for each in collectors if store.last_version(each.id)]
    except StoreError:
        return []


def paused_in(folder: Path, collectors: Sequence[Collector]) -> dict[str, str]:
    """Return until when collectors are paused, by their ids, as far as a state directory knows."""
    from datetime import UTC, datetime

    from signals_core.pausing import pause_of, until_text
    from signals_core.store import Store, StoreError

    if not folder.is_dir():
        return {}
    now = datetime.now(UTC)
    try:
        with Store.look(folder) as store:
            pauses = store.pauses(now)
    except StoreError:
        return {}
    found = {each.id: pause_of(each, pauses, now) for each in collectors}
    return {id_: until_text(pause) for id_, pause in found.items() if pause is not None}


def left_out(loaded: Loaded) -> list[str]:
    """Return the names of the collectors that have a mistake, or lack a variable."""
    waiting = [each.collector.name for each in loaded.collectors if each.unresolved]
    return list(dict.fromkeys((*loaded.unsound, *waiting)))


def no_room_in(folder: Path, free: Callable[[Path], int] | None = None) -> str | None:
    """Say that the disk of a state directory is full; None while there is some room.

    A process that cannot write cannot note that either. `free` returns how many bytes are.
    """
    left = (free or _free_bytes)(folder)
    if left >= _LITTLE_BYTES:
        return None
    return (
        f"the disk of {folder} is full ({left} bytes are left): what is read cannot be kept, and "
        "nothing can be noted (make room on it: a running process then goes on by itself)"
    )


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def holder_of(folder: Path) -> str | None:
    """Return which process has the state directory; None when none has."""
    try:
        file = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(file, 200, 0).decode(errors="replace") or "another process"
    except OSError:
        return None
    finally:
        os.close(file)
    return None
