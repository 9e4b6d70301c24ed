"""What one process may ask of the one that holds the state directory, other than a backfill."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from signals_core.store import Store


def perform(store: Store, kind: str, arguments: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Do what is asked for, on a store that is open for writing, and say what came of it."""
    if kind in ("pause", "resume"):
        return _paused(store, kind, arguments, now)
    sink = str(arguments["sink"])
    if kind == "retry":
        retried, outdated = store.retry_dead(sink)
        return {"retried": retried, "outdated": outdated}
    if kind == "drop":
        return {"dropped": store.drop(sink, at=now) + store.drop_dead(sink, at=now)}
    raise ValueError(f"nobody knows how to {kind}")


def _paused(store: Store, kind: str, arguments: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    of, names = arguments["of"], [str(name) for name in arguments["names"]]
    if kind == "resume":
        return {"resumed": store.resume(of, names)}
    until = arguments["until"] and datetime.fromisoformat(arguments["until"])
    store.pause(of, names, at=now, until=until, reason=arguments["reason"])
    return {"paused": len(names)}
