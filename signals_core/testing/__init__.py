"""What plugin authors test with: the conformance kit, and tools beside it.

A suite tests a plugin against every promise of the plugin API. A name is imported when it is first
used; the suites need the extra `signals-core[testing]`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from signals_core.testing.clock import NotSettled, SimulatedClock
    from signals_core.testing.harness import Harness
    from signals_core.testing.made import metric
    from signals_core.testing.promise import Promise, PromiseBroken
    from signals_core.testing.promises import PROMISES
    from signals_core.testing.recording import RecordingSink
    from signals_core.testing.rows import RowsSource
    from signals_core.testing.schedule import ScheduleSuite
    from signals_core.testing.sink import SinkSuite
    from signals_core.testing.source import SourceSuite

_HOMES = {
    "clock": ("NotSettled", "SimulatedClock"),
    "harness": ("Harness",),
    "made": ("metric",),
    "promise": ("Promise", "PromiseBroken"),
    "promises": ("PROMISES",),
    "recording": ("RecordingSink",),
    "rows": ("RowsSource",),
    "schedule": ("ScheduleSuite",),
    "sink": ("SinkSuite",),
    "source": ("SourceSuite",),
}

__all__ = [
    "PROMISES",
    "Harness",
    "NotSettled",
    "Promise",
    "PromiseBroken",
    "RecordingSink",
    "RowsSource",
    "ScheduleSuite",
    "SimulatedClock",
    "SinkSuite",
    "SourceSuite",
    "metric",
]

_NEEDED = ("hypothesis", "pytest")


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            try:
                return getattr(import_module(f"{__name__}.{home}"), name)
            except ModuleNotFoundError as error:
                if error.name not in _NEEDED:
                    raise
                raise ImportError(
                    f"{name} needs {error.name}: pip install 'signals-core[testing]'"
                ) from None
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
