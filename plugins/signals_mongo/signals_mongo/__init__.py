"""MongoDB for signals: a read-only source of aggregation pipelines."""

from __future__ import annotations

from typing import Any

from signals_core import hookimpl


@hookimpl
def signals_register_sources(register: Any) -> None:
    """Register `mongodb`, which loads the driver only when it connects."""
    register("mongodb", "signals_mongo.source:MongoDB")
