"""Work on the state directory: done here, or by the daemon that holds it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from signals_core.chores import perform
from signals_core.cli.state import holder_of
from signals_core.errors import SignalsError
from signals_core.store import Requested, Store, StoreLocked

_POLL_SECONDS = 0.2


def carried_out(folder: Path, kind: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Have a request carried out, by the live daemon if there is one, and return its outcome.

    Raises `StoreError` where there is no state directory.
    """
    number = None
    with Store.look(folder) as beside:
        while True:
            if number is None or holder_of(folder) is None:
                try:
                    return _here(folder, kind, arguments, number)
                except StoreLocked:
                    number = number or beside.request(kind, arguments)
            time.sleep(_POLL_SECONDS)
            mine = request_of(beside, number)
            if mine.finished is not None:
                return mine.progress or {}


def request_of(store: Store, number: int) -> Requested:
    """Return a request as it is now. Raises `SignalsError` when it came to nothing."""
    (mine,) = (each for each in store.requests(open_only=False) if each.id == number)
    if mine.finished is not None and mine.outcome != "done":
        raise SignalsError(str(mine.outcome))
    return mine


def _here(
    folder: Path, kind: str, arguments: Mapping[str, Any], number: int | None
) -> Mapping[str, Any]:
    """Do it in this process, where need be in the place of one that left it undone."""
    with Store.open(folder) as store:
        done = perform(store, kind, arguments, datetime.now(UTC))
        if number is not None:
            store.finish_request(number, "done", done)
        return done
