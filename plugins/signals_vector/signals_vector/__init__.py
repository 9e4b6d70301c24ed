"""The sink type `http`: metrics as JSON to Vector, and to whatever else takes JSON over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from signals_core import hookimpl

if TYPE_CHECKING:
    from signals_vector.sink import Http

    __version__: str

__all__ = ["Http"]


@hookimpl
def signals_register_sinks(register: Any) -> None:
    """Register `http`; its module is imported when a collector first uses it."""
    register("http", "signals_vector.sink:Http")


def __getattr__(name: str) -> Any:
    if name == "Http":
        from signals_vector.sink import Http

        return Http
    if name == "__version__":
        from importlib.metadata import version

        return version("signals-vector")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
