"""The source `helpdesk` for signals."""

from collections.abc import Callable

from signals_core import hookimpl


@hookimpl
def signals_register_sources(register: Callable[[str, str], None]) -> None:
    """Register the type; its module, and with it requests, is imported when it is first needed."""
    register("helpdesk", "signals_helpdesk.source:HelpDesk")
