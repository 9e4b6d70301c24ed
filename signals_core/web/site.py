"""What a daemon serves, put together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import define, field

from signals_core.clock import Clock, SystemClock
from signals_core.facts import Configured
from signals_core.runner import Runner
from signals_core.web.app import Answer, App, Guard
from signals_core.web.pages import Pages
from signals_core.web.probes import Probes
from signals_core.web.telemetry import Telemetry


@define(eq=False)
class Site:
    """The daemon that is shown: its runner, which may be started later, and its configuration.

    `configured` is replaced when the configuration is read again.
    """

    runner: Runner
    state_dir: Path
    configured: Configured
    clock: Clock = field(factory=SystemClock)

    def app(self, guard: Guard = lambda _: None) -> App:
        """Return the application; `guard` may refuse a request."""
        pages = Pages(self.runner, self.state_dir, lambda: self.configured)
        return App({**self._routes(), **pages.routes()}, guard, pages.nothing)

    def _routes(self) -> Mapping[str, Answer]:
        probes = Probes(self.runner, self.clock)
        telemetry = Telemetry(self.runner, self.state_dir, lambda: self.configured)
        return {
            "/healthz": probes.alive,
            "/readyz": probes.ready,
            "/metrics": telemetry.answer,
        }
