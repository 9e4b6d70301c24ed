"""The durable state of one state directory: coverage, readings, outboxes, runs."""

from __future__ import annotations

from signals_core.store.errors import StoreError, StoreFull, StoreLocked
from signals_core.store.recent import Seen
from signals_core.store.records import (
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
    Position,
    Requested,
    Run,
    Settled,
)
from signals_core.store.store import Store

__all__ = [
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
    "Position",
    "Requested",
    "Run",
    "Seen",
    "Settled",
    "Store",
    "StoreError",
    "StoreFull",
    "StoreLocked",
]
