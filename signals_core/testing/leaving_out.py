"""Leaving out the tests of a suite that are not to run, visibly."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest

_NAME = "signals-conformance-kit"


def announce(config: pytest.Config) -> None:
    """Have a run of pytest leave out what its suites do not test, and list it at the end."""
    if not config.pluginmanager.has_plugin(_NAME):
        config.pluginmanager.register(_LeavingOut(), _NAME)


def leave_out(request: pytest.FixtureRequest, reason: str) -> NoReturn:
    """Leave out a test that has begun and turns out not to apply, and list it at the end."""
    leaving_out = request.config.pluginmanager.get_plugin(_NAME)
    assert isinstance(leaving_out, _LeavingOut)
    leaving_out.note(request.cls, request.function.promise.name, reason)
    pytest.skip(reason)


class _LeavingOut:
    def __init__(self) -> None:
        self._lines: dict[str, None] = {}

    def note(self, suite: type, promise: str, reason: str) -> None:
        self._lines[f"{suite.__name__} {promise}: {reason}"] = None

    @pytest.hookimpl(trylast=True)  # of what -k and -m left
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        out = [item for item in items if self._is_left_out(item)]
        if out:
            config.hook.pytest_deselected(items=out)
            items[:] = [item for item in items if item not in out]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._lines:
            terminalreporter.section("promises of plugins that were not tested")
            for line in self._lines:
                terminalreporter.line(line)

    def _is_left_out(self, item: pytest.Item) -> bool:
        suite: Any = getattr(item, "cls", None)
        promise = getattr(getattr(item, "function", None), "promise", None)
        if promise is None:
            return False
        reason = suite.not_tested().get(promise.name)
        if reason is None:
            return False
        self.note(suite, promise.name, reason)
        return True
