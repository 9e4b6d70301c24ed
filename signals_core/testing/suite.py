"""What the suites share: what an author gives, what is left out, the promises of all plugins."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest

from signals_core import ConfigError, Unavailable
from signals_core.testing import promises
from signals_core.testing.doings import doings
from signals_core.testing.leaving_out import announce, leave_out
from signals_core.testing.patience import Call
from signals_core.testing.promise import Promise, Seen, described, keeps
from signals_core.testing.written import (
    configuration_of,
    differences,
    read_back,
    refusal_of_fields,
    secrets_in,
)


@pytest.fixture
def _a_fixture() -> None:
    """Show by its type how the fixtures of a suite are told from what is given as it is."""


_FIXTURE = type(_a_fixture)
_SECRET_NAMES = ("api_key", "passwd", "password", "secret", "token")


class PluginSuite:
    """The promises that sources, sinks and schedules share."""

    type: ClassVar[str | None] = None
    """The name under which the plugin is registered; `signals plugins` must show it."""

    left_out: ClassVar[Mapping[str, str]] = {}
    """Promises that do not apply, each with the reason; the summary of the run shows them."""

    patience: ClassVar[float] = 10.0
    """The seconds in which the plugin does what it is to do soon."""

    kit_promises: ClassVar[tuple[Promise, ...]] = promises.PLUGIN_PROMISES
    kit_subject: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        """Refuse to leave out what is no promise."""
        super().__init_subclass__()
        names = [promise.name for promise in cls.kit_promises]
        for name in cls.left_out:
            if name not in names:
                near = get_close_matches(name, names, 1) or [", ".join(names)]
                raise TypeError(
                    f"{cls.__name__}.left_out: there is no promise {name!r} (it may be {near[0]})"
                )

    @classmethod
    def not_tested(cls) -> dict[str, str]:
        """Return the promises that are not tested, by name, each with the reason."""
        lacking = {
            promise.name: f"give {' and '.join(missing)} to test it"
            for promise in cls.kit_promises
            if (missing := [name for name in promise.needs if getattr(cls, name, None) is None])
        }
        return lacking | dict(cls.left_out)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Have the run leave out what is not tested, and say so at its end."""
        announce(metafunc.config)

    @pytest.fixture(autouse=True)
    def _kit(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
        self._request = request
        self._folder = tmp_path
        self._opened: list[Any] = []
        self._calls: list[Call[Any]] = []
        yield
        opened, calls = self._opened, self._calls
        if all(call.ends_within(0) for call in calls):
            _close_all(opened, calls)
        else:  # close() is never called during another call: a driver may crash over it
            Call(lambda: _close_all(opened, calls), "closing what still went on")

    @property
    def plugin_name(self) -> str:
        """The name of the class under test."""
        return type(self.instance).__name__

    @property
    def instance(self) -> Any:
        """What the author gives as the plugin; it is only looked at."""
        if getattr(type(self), self.kit_subject, None) is None:
            pytest.fail(
                f"{type(self).__name__} has no {self.kit_subject} "
                f"(give an instance, or a fixture that returns one)",
                pytrace=False,
            )
        return self.given(self.kit_subject)

    def given(self, name: str) -> Any:
        """Return what the author gives under a name: a value, a method, or what a fixture returns.

        None where nothing is given.
        """
        if isinstance(inspect.getattr_static(type(self), name, None), _FIXTURE):
            return self._request.getfixturevalue(name)
        return getattr(self, name, None)

    def fresh(self, **changes: Any) -> Any:
        """Return another instance with the same configuration, not open.

        Where the class takes no such configuration, `configuration` fails and the test is left out.
        """
        return self._built_like(self.instance, **changes)

    def opened(self, plugin: Any = None) -> Any:
        """Return a plugin of the same configuration, open; it is closed after the test."""
        plugin = self.fresh() if plugin is None else plugin
        self._opened.append(plugin)
        self.soon(plugin.open, "open()")
        return plugin

    def soon(self, call: Callable[[], Any], what: str) -> Any:
        """Return what a call returns; it is a breach when it takes longer than the patience."""
        return self.begin(call, what).result(self.patience)

    def begin(self, call: Callable[[], Any], what: str) -> Call[Any]:
        """Begin a call in a thread of its own; nothing is closed before it has ended."""
        begun = Call(call, what)
        self._calls.append(begun)
        return begun

    def raised_by(self, call: Callable[[], Any], what: str) -> BaseException | None:
        """Return what a call raises, None when it returns."""
        return self.begin(call, what).error(self.patience)

    def kit_query(self) -> Any:
        """Return the collector's part of the configuration, None where there is none."""
        return None

    @keeps(promises.CONFIGURATION)
    def test_configuration(self) -> None:
        """An instance written down as YAML and read again is the same."""
        plugin, query = self.instance, self.kit_query()
        if refusal := refusal_of_fields(plugin):
            raise Seen(refusal)
        read, query_read = self._read_back()
        wrong = differences(plugin, read) + differences(query, query_read)
        if wrong:
            raise Seen(f"after a round trip through YAML other than before: {', '.join(wrong)}")

    @keeps(promises.UNKNOWN_KEY)
    def test_unknown_key(self) -> None:
        """A key that the class does not declare is refused, with the nearest name."""
        known = [*configuration_of(self.instance), *configuration_of(self.kit_query())]
        typos = {_typo(name, known): name for name in known or ["nothing"]}
        try:
            self._read_back(dict.fromkeys(typos, "1"))
        except ConfigError as error:
            lines = str(error).splitlines()
            for typo, name in typos.items():
                said = next((line for line in lines if typo in line), "nothing")
                if said == "nothing" or (known and name not in said.replace(typo, "")):
                    raise Seen(f"of the unknown key {typo} was said: {said}") from None
            return
        raise Seen(f"the unknown key {next(iter(typos))} was taken")

    @keeps(promises.BUILT_WITHOUT_IO)
    def test_built_without_io(self) -> None:
        """Building an instance does no input or output."""
        plugin = self.instance
        with doings() as seen:
            self._built_like(plugin)
        if seen:
            raise Seen(f"building it did: {'; '.join(seen)}")

    @keeps(promises.SECRETS)
    def test_secrets(
        self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """No repr, no error, no log and no output shows a secret."""
        caplog.set_level(logging.DEBUG)
        plugins = [self.instance, self.given("unreachable")]
        for plugin in filter(None, plugins):
            for part in (plugin, self.kit_query()):
                self._refuse_bare_secrets(part)
                self._refuse_secrets(f"{part!r} {part}", "its repr")
        if self.given("unreachable") is not None:
            error = self._failure(self.given("unreachable"))
            while error is not None:
                self._refuse_secrets(f"{error!r} {error}", f"the {type(error).__name__} it raises")
                error = error.__cause__
        if self.kit_subject != "schedule":
            self.use(self.opened())
        for record in caplog.records:
            self._refuse_secrets(record.getMessage(), f"a log of {record.name}")
        self._refuse_secrets("".join(capfd.readouterr()), "what it prints")

    @keeps(promises.OPEN_AND_CLOSE)
    def test_open_and_close(self) -> None:
        """close() may be called twice, before open(), and from any thread."""
        plugin = self.fresh()
        for moment in ("before open()", "twice before open()"):
            _expect_closed(moment, plugin.close)
        plugin = self.opened(plugin)
        # `soon` calls from another thread than the one that opened, and each time from a new one.
        for moment in ("from another thread", "twice"):
            _expect_closed(moment, lambda: self.soon(plugin.close, "close()"))

    def use(self, plugin: Any) -> None:
        """Use an open plugin once."""

    def expect_unavailable(self, error: BaseException | None) -> None:
        """Refuse any other end of a call to what cannot be reached."""
        if error is None:
            raise Seen("it raised nothing")
        if not isinstance(error, Unavailable):
            raise Seen(f"it raised {described(error)}") from error

    def _built_like(self, plugin: Any, **changes: Any) -> Any:
        if refusal := refusal_of_fields(plugin):
            if promises.CONFIGURATION.name in self.not_tested():
                raise Seen(refusal)
            leave_out(self._request, f"its own __init__ breaks {promises.CONFIGURATION.name}")
        return attrs.evolve(plugin, **changes)

    def _failure(self, plugin: Any) -> BaseException | None:
        """Return what opening and using a plugin raises."""
        self._opened.append(plugin)
        return _raised(lambda: self.soon(plugin.open, "open()")) or _raised(
            lambda: self.use(plugin)
        )

    def _read_back(self, more: dict[str, Any] | None = None) -> tuple[Any, Any]:
        assert self.type is not None
        query = self.kit_query()
        collector = read_back(self._folder, self.type, self.instance, query, more or {})
        plugins = {
            "source": collector.source,
            "sink": next(iter(collector.sinks.values())),
            "schedule": collector.schedule,
        }
        return plugins[self.kit_subject], collector.query if query is not None else None

    def _refuse_secrets(self, text: str, where: str) -> None:
        known = secrets_in(self.instance) | secrets_in(self.given("unreachable"))
        if any(secret and secret in text for secret in known):
            raise Seen(f"{where} shows a secret")

    def _refuse_bare_secrets(self, part: Any) -> None:
        for each in attrs.fields(type(part)) if attrs.has(type(part)) else ():
            value = getattr(part, each.name) if each.init else None
            if isinstance(value, str) and each.name.strip("_").endswith(_SECRET_NAMES):
                raise Seen(f"the field {each.name} is a str, which every repr shows")


class ConnectedSuite(PluginSuite):
    """The promises that sources and sinks share."""

    unreachable: Any = None
    """Gives an instance whose address leads nowhere."""

    down: Any = None
    """Gives a function that returns a context, inside of which the other side is down."""

    @keeps(promises.REOPEN)
    def test_reopen(self) -> None:
        """After close(), open() connects again and all works as before."""
        plugin = self.opened()
        for _ in range(2):
            self.use(plugin)
            self.soon(plugin.close, "close()")
            self.soon(plugin.open, "open() after close()")
        self.use(plugin)

    @keeps(promises.UNAVAILABLE)
    def test_unavailable(self) -> None:
        """What cannot be reached raises Unavailable."""
        plugin = self.given("unreachable")
        self.expect_unavailable(self._failure(plugin))

    @keeps(promises.RECOVERS)
    def test_recovers(self) -> None:
        """It says Unavailable while the other side is down, and works again afterwards."""
        plugin = self.opened()
        self.use(plugin)
        with self.given("down")():
            self.expect_unavailable(_raised(lambda: self.use(plugin)))
            _close(plugin)
            self.expect_unavailable(self._failure(plugin))
            _close(plugin)
        self.opened(plugin)
        self.use(plugin)


def _typo(name: str, known: list[str]) -> str:
    return next(key for n in count(1) if (key := name + "x" * n) not in known)


def _close_all(plugins: list[Any], calls: list[Call[Any]]) -> None:
    for call in calls:
        call.wait()
    for plugin in plugins:
        _close(plugin)


def _close(plugin: Any) -> None:
    """Close as the runner does: how well that goes is a promise of its own."""
    with suppress(Exception):
        plugin.close()


def _raised(call: Callable[[], Any]) -> Exception | None:
    """Return what a call raises; `Seen` is no answer of the plugin's."""
    try:
        call()
    except Seen:
        raise
    except Exception as error:  # noqa: BLE001 - it is what was asked for
        return error
    return None


def _expect_closed(moment: str, close: Callable[[], Any]) -> None:
    if error := _raised(close):
        raise Seen(f"close() {moment} raised {described(error)}") from error
