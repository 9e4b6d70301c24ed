"""The built-in types, registered like any plugin's."""

from __future__ import annotations

from collections.abc import Callable

from signals_core import hookimpl


@hookimpl
def signals_register_sources(register: Callable[[str, str], None]) -> None:
    """Register the source that needs no package of its own."""
    register("sqlite", "signals_core.builtin.sqlite:Sqlite")


@hookimpl
def signals_register_sinks(register: Callable[[str, str], None]) -> None:
    """Register the sinks that need no package of their own."""
    register("console", "signals_core.builtin.console:Console")
    register("file", "signals_core.builtin.file:File")


@hookimpl
def signals_register_schedules(register: Callable[[str, str], None]) -> None:
    """Register the schedules."""
    register("interval", "signals_core.builtin.schedules:Interval")
    register("cron", "signals_core.builtin.schedules:Cron")
