"""Work on the state directory: done here, or by the daemon that holds it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from signals_core.chores import perform
from signals_core.errors import SignalsError
from signals_core.store import Store, StoreLocked

_POLL_SECONDS = 0.2


def carried_out(folder: Path, kind: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Have a request carried out, by the live daemon if there is one, and return its outcome."""
    try:
        store = Store.open(folder)
    except StoreLocked:
        return _by_the_daemon(folder, kind, arguments)
    with store:
        return perform(store, kind, arguments, datetime.now(UTC))


def _by_the_daemon(folder: Path, kind: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    with Store.look(folder) as store:
        number = store.request(kind, arguments)
        while True:
            (mine,) = (each for each in store.requests(open_only=False) if each.id == number)
            if mine.finished is not None:
                break
            time.sleep(_POLL_SECONDS)
    if mine.outcome != "done":
        raise SignalsError(str(mine.outcome))
    return mine.progress or {}
