"""PostgreSQL for signals: the source `postgres` and the sink `postgres`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from signals_core import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable


@hookimpl
def signals_register_sources(register: Callable[[str, str], None]) -> None:
    """Register `postgres`, imported when a collector first uses it."""
    register("postgres", "signals_postgres.source:Postgres")


@hookimpl
def signals_register_sinks(register: Callable[[str, str], None]) -> None:
    """Register `postgres`, imported when a collector first uses it."""
    register("postgres", "signals_postgres.sink:PostgresSink")
