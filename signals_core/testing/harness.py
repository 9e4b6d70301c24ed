"""One collector, run in this process as a daemon runs it, on a clock that a test moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from tempfile import gettempdir
from threading import Thread
from types import TracebackType
from typing import Any, Generic, Self, TypeVar
from uuid import uuid4

from attrs import define

from signals_core import (
    Collector,
    Metric,
    MetricDefinition,
    Reading,
    Runner,
    Schedule,
    Sink,
    Source,
    WindowPolicy,
)
from signals_core.testing.clock import SimulatedClock
from signals_core.testing.recording import RecordingSink
from signals_core.testing.rows import RowsSource

T = TypeVar("T")

_MINUTE = timedelta(minutes=1)

#: A call waits for the clock now and then: time goes on in such steps until it returns.
_STEP = 0.5


@define
class _EveryMinute(Schedule):
    def next_after(self, moment: datetime) -> datetime:
        return moment.replace(second=0, microsecond=0) + _MINUTE


class Harness:
    """Runs one collector of a source, a sink and a schedule: what the plugin meets in a daemon.

        with Harness(source=Words(path), query=Words.Query(2)) as harness:
            harness.advance(minutes=1)
            assert [metric.value for metric in harness.metrics] == [3, 1]

    What a test does not give is there already: a source of the one row `{"value": 1}`, and a
    recording sink beside the given one, whose `metrics` are those of the harness. The metric is
    `harness`, a GAUGE of the column `value`. With `grain` and `window` it is a windowed collector,
    without them it reads once at the start, within a minute, and then by its schedule: at each
    minute by default. The clock stands at `start`, the beginning of 2026 in UTC, until `advance`
    moves it. `more` goes to the `Collector`: `timezone`, `tags`, `metrics`, `max_rows`.

    Inside `with` the runner works, with a state directory that ends with it. Why a run fails is
    logged by the logger `signals`, which pytest shows below a test that fails.
    """

    def __init__(
        self,
        *,
        source: Source | None = None,
        query: Any = None,
        sink: Sink | None = None,
        schedule: Schedule | None = None,
        grain: str | None = None,
        window: WindowPolicy | None = None,
        start: datetime = datetime(2026, 1, 1, tzinfo=UTC),
        **more: Any,
    ) -> None:
        self.clock = SimulatedClock(start)
        """The clock of the runner."""
        self.sink = sink if isinstance(sink, RecordingSink) else RecordingSink()
        """What keeps the metrics: the given sink when it is a recording one."""
        sinks: Mapping[str, Sink] = {"recorded": self.sink}
        if sink is not None and sink is not self.sink:
            sinks = {**sinks, "given": sink}
        if "metrics" not in more:
            more.setdefault("metric", MetricDefinition("harness", "GAUGE"))
        collector = Collector(
            name="harness",
            source=source or RowsSource([{"value": 1}]),
            query=query,
            sinks=sinks,
            schedule=schedule if schedule or window else _EveryMinute(),
            grain=grain,
            window=window,
            **more,
        )
        self._state_dir = Path(gettempdir(), f"signals-harness-{uuid4()}")
        self.runner = Runner([collector], state_dir=self._state_dir, clock=self.clock)
        """The runner, for what the harness has no word for."""

    def __enter__(self) -> Self:
        self._state_dir.mkdir(mode=0o700)
        try:
            self.runner.start()
        except BaseException:
            rmtree(self._state_dir)
            raise
        self.clock.settle()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.call(self.runner.close)
        finally:
            rmtree(self._state_dir)

    @property
    def metrics(self) -> list[Metric]:
        """What has been delivered to the recording sink, in order."""
        return self.sink.metrics

    def advance(self, span: timedelta = timedelta(), **more: float) -> None:
        """Let time pass, and return when all that it brings about is done.

        A `timedelta`, or what makes one: `advance(minutes=10)`. Each thing happens at its instant:
        a runner looks about once a second, so that hours take real seconds. Raises `NotSettled`
        when a plugin goes on working for longer than the clock's patience.
        """
        self.clock.advance((span + timedelta(**more)).total_seconds())

    def hurry(self, span: timedelta = timedelta(), **more: float) -> None:
        """Let hours or days pass: as `advance`, but things happen at whole minutes only.

        What falls due between two of them comes at the later one.
        """
        self.clock.hurry((span + timedelta(**more)).total_seconds())

    def invoke(self, at: datetime | None = None) -> Reading:
        """Read once, now, and deliver, as `Runner.invoke` does, whose failures it raises.

        The clock stands still meanwhile: a read that waits is for `advance`.
        """
        return self.runner.invoke("harness", at)

    def call(self, work: Callable[[], T], within: timedelta = timedelta(hours=1)) -> T:
        """Return what `work` returns, or raise what it raises, while time passes as it needs.

        For what waits: `harness.call(lambda: harness.runner.backfill("harness", start))`. Raises
        `TimeoutError` when it still waits after so much of simulated time.
        """
        call = _Call(work)
        until = self.clock.now() + within
        self.clock.settle()
        while call.is_alive():
            if self.clock.now() >= until:
                raise TimeoutError(f"it still goes on after {within}")
            self.clock.advance(_STEP)
        if call.error is not None:
            raise call.error
        (result,) = call.results
        return result


class _Call(Thread, Generic[T]):
    """A call in a thread that takes part in the simulation."""

    def __init__(self, work: Callable[[], T]) -> None:
        super().__init__(name="signals harness call", daemon=True)
        self._work = work
        self.results: list[T] = []
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.results.append(self._work())
        except BaseException as error:  # noqa: BLE001 - raised where it was called for
            self.error = error
