"""signals: business numbers out of operational databases, without copying the data out.

Everything public is here; a name is imported when it is first used, so that `import signals_core`
and the command line stay quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from signals_core.collector import Collector, MetricDefinition, Reading, WindowPolicy
    from signals_core.errors import (
        Cancelled,
        ConfigError,
        DeliveryError,
        Rejected,
        RetryAfter,
        Unavailable,
    )
    from signals_core.metric import Batch, Metric
    from signals_core.plugin import (
        Json,
        Plugin,
        Request,
        Row,
        Schedule,
        Sink,
        Source,
        hookimpl,
    )
    from signals_core.runner import Runner
    from signals_core.secret import Secret
    from signals_core.store import StoreError
    from signals_core.window import Grain, Window

    __version__: str

_HOMES = {
    "collector": ("Collector", "MetricDefinition", "Reading", "WindowPolicy"),
    "errors": (
        "Cancelled",
        "ConfigError",
        "DeliveryError",
        "Rejected",
        "RetryAfter",
        "Unavailable",
    ),
    "metric": ("Batch", "Metric"),
    "plugin": ("Json", "Plugin", "Request", "Row", "Schedule", "Sink", "Source", "hookimpl"),
    "runner": ("Runner",),
    "secret": ("Secret",),
    "store": ("StoreError",),
    "window": ("Grain", "Window"),
}

__all__ = [
    "Batch",
    "Cancelled",
    "Collector",
    "ConfigError",
    "DeliveryError",
    "Grain",
    "Json",
    "Metric",
    "MetricDefinition",
    "Plugin",
    "Reading",
    "Rejected",
    "Request",
    "RetryAfter",
    "Row",
    "Runner",
    "Schedule",
    "Secret",
    "Sink",
    "Source",
    "StoreError",
    "Unavailable",
    "Window",
    "WindowPolicy",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("signals-core")
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
