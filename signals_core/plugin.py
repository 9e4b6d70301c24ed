"""The plugin API: what a source, a sink and a schedule are, and the hooks that register them.

A plugin is an attrs class that *is* its configuration. It imports only the public names of
`signals_core`. The whole contract, with the reasons, is in the reference of the documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from threading import Condition
from typing import Annotated, Any, ClassVar, Protocol, TypeAlias

import pluggy
from attrs import Factory, define, field

from signals_core.clock import Clock, SystemClock
from signals_core.errors import Cancelled
from signals_core.metric import Batch
from signals_core.window import Window

GROUP = "signals"
"""The entry-point group, which is version 1 of the plugin API."""

Row: TypeAlias = Mapping[str, Any]
"""One result row: column names to values."""

Json: TypeAlias = Annotated[Any, "json"]
"""A configuration field that takes text of JSON or a YAML tree."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)
"""Marks a function of a plugin as one of the hooks."""


@define
class Plugin:
    """What sources, sinks and schedules share: the fields of the class are its configuration.

    Fields are typed, defaulted and validated; building an instance does no I/O. Run-time state
    lives in `field(init=False)`.
    """

    def open(self) -> None:
        """Connect. Called before the first use, and again after `close()`."""

    def close(self) -> None:
        """Let go of everything. May be called twice, before `open()`, and from any thread."""


@define
class Source(Plugin):
    """A connection to where rows come from; runs the queries of collectors.

    Collectors whose connection fields are equal share one instance.
    """

    Query: ClassVar[Any] = None
    """An attrs class: the collector's part of the configuration. None: there is none."""

    max_connections: int = field(default=1, kw_only=True)
    """The most `read()` calls at the same time, kept by the runner."""

    def parameters(self, query: Any) -> set[str]:
        """Return the names under which `query` uses its window.

        They are `window_start`, `window_end`, `window_start_local` and `window_end_local`. Pure.
        Raises `ValueError` for a query that cannot be right.
        """
        return set()

    def check(self, query: Any) -> list[str] | None:
        """Connect and check `query` without reading data.

        Returns the column names of its result, None where they cannot be known. Raises
        `Unavailable`, or any other exception for a query that would fail.
        """
        return None

    def watermark(self) -> datetime | None:
        """Return the aware instant up to which `read()` sees all data.

        None: the runner's clock is right.
        """
        return None

    def read(self, request: Request) -> Iterator[Row]:
        """Yield the rows of the query, streamed, of one snapshot as consistent as can be.

        A subclass says in its docstring how consistent that is.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define read()")


@define
class Sink(Plugin):
    """Where metrics go."""

    batch_metrics: int = field(default=1000, kw_only=True)
    """The most metrics in one batch."""

    batch_bytes: int = field(default=1_000_000, kw_only=True)
    """The most bytes of encoded metrics in one batch (a single larger metric goes alone)."""

    def write(self, batch: Batch) -> None:
        """Return only when all of `batch` is durably accepted.

        Called by one worker, in order, never twice at a time. Raises `Unavailable`,
        `RetryAfter` or `Rejected`; any other exception counts as `Unavailable`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define write()")

    def check(self) -> None:
        """Connect and authenticate, writing nothing. Raises what `write` would."""


@define
class Schedule(Plugin):
    """When a collector runs."""

    def next_after(self, moment: datetime) -> datetime:
        """Return the first tick strictly later than `moment`; aware in, aware out.

        Pure. Computes in `moment`'s own zone.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define next_after()")


@define(eq=False)
class Request:
    """What `Source.read` is asked for, and how it learns that it is to stop.

    `timeout` is given as the seconds that the read may take and answers with those that are left.
    """

    collector: str
    """The name of the collector."""

    query: Any = None
    """The instance of `Query` that the collector configured."""

    window: Window | None = None
    """The window to read; None for a snapshot."""

    _limit: float = field(default=60.0, alias="timeout")

    origin: str = "signals"
    """A text for the source's own log: `signals RUN COLLECTOR`."""

    _clock: Clock = field(factory=SystemClock, alias="clock", kw_only=True, repr=False)
    _deadline: float = field(
        init=False,
        repr=False,
        default=Factory(lambda self: self._clock.monotonic() + self._limit, takes_self=True),
    )
    _changed: Condition = field(init=False, repr=False, factory=Condition)
    _cancelled: str = field(init=False, repr=False, default="")
    _aborts: list[Callable[[], object]] = field(init=False, repr=False, factory=list)

    @property
    def timeout(self) -> float:
        """The seconds left in all, never less than zero."""
        return max(0.0, self._deadline - self._clock.monotonic())

    def check(self) -> None:
        """Raise `Cancelled` when the run is to stop or is late; call it between pages."""
        if self._cancelled:
            raise Cancelled(self._cancelled)
        if self._clock.monotonic() >= self._deadline:
            raise Cancelled(f"the read took longer than its timeout of {self._limit:g} s")

    def wait(self, seconds: float) -> None:
        """Sleep for `seconds`, raising `Cancelled` as soon as `check()` would."""
        until = self._clock.monotonic() + seconds
        with self._changed:
            while (left := until - self._clock.monotonic()) > 0:
                self.check()
                self._clock.wait(self._changed, min(left, self.timeout))
        self.check()

    @contextmanager
    def on_cancel(self, call: Callable[[], object]) -> Iterator[None]:
        """While inside, let another thread abort the read by `call`, which must not block long.

        What is aborted raises as it likes: catch that inside, and call `check()`, which raises
        `Cancelled`.

        Leaving waits for a `call` that is going on, so that it never meets what comes after.
        """
        with self._changed:
            self.check()
            self._aborts.append(call)
        try:
            yield
        finally:
            with self._changed:
                self._aborts.remove(call)

    def cancel(self, reason: str = "the run was told to stop") -> None:
        """Tell the read to stop: wake its waits and call what `on_cancel` holds. For the runner."""
        with self._changed:
            self._cancelled = self._cancelled or reason
            self._changed.notify_all()
            for abort in tuple(self._aborts):
                with suppress(Exception):  # a read that cannot be aborted ends by itself, or late
                    abort()


class Register(Protocol):
    """What a hook is handed: call it once for each type."""

    def __call__(self, name: str, target: type[Plugin] | str) -> None:
        """Register `target`, a class or the text `package.module:Class`, as the type `name`.

        Text is imported when the type is first needed: use it where the import is heavy.
        """


class Hooks:
    """The hooks that an entry point of the group `signals` may implement with `@hookimpl`."""

    @hookspec
    def signals_register_sources(self, register: Register) -> None:
        """Called once at discovery: register source types."""

    @hookspec
    def signals_register_sinks(self, register: Register) -> None:
        """Called once at discovery: register sink types."""

    @hookspec
    def signals_register_schedules(self, register: Register) -> None:
        """Called once at discovery: register schedule types."""
