"""The durable state of one state directory: coverage, readings, outboxes, runs."""

from __future__ import annotations

from signals_core.store.errors import StoreError, StoreFull, StoreLocked
from signals_core.store.recent import Retained
from signals_core.store.records import (
    SUCCEEDED,
    Committed,
    CoverageKey,
    DeadLetter,
    Dropped,
    Found,
    Item,
    Letter,
    OutboxLine,
    Outcome,
    Packed,
    Paused,
    PauseOf,
    Position,
    Requested,
    Run,
    Settled,
    TakenUp,
)
from signals_core.store.store import Store

__all__ = [
    "SUCCEEDED",
    "Committed",
    "CoverageKey",
    "DeadLetter",
    "Dropped",
    "Found",
    "Item",
    "Letter",
    "OutboxLine",
    "Outcome",
    "Packed",
    "PauseOf",
    "Paused",
    "Position",
    "Requested",
    "Retained",
    "Run",
    "Settled",
    "Store",
    "StoreError",
    "StoreFull",
    "StoreLocked",
    "TakenUp",
]
