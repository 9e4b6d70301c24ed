"""A third party's plugin as its author would type it: checked by mypy --strict, never run."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal, assert_type

from attrs import define, field

from signals_core import (
    Batch,
    Cancelled,
    Collector,
    DeliveryError,
    Grain,
    Json,
    Metric,
    MetricDefinition,
    Reading,
    Rejected,
    Request,
    RetryAfter,
    Row,
    Runner,
    Schedule,
    Secret,
    Sink,
    Source,
    Unavailable,
    Window,
    WindowPolicy,
    hookimpl,
)
from signals_core.plugin import Register


@define
class Tickets(Source):
    """Counts of a help desk's API, page by page; each page is a snapshot of its own."""

    uri: str
    token: Secret
    ca: Path | None = None
    _session: list[str] | None = field(init=False, default=None)

    @define
    class Query:
        """What to count."""

        by: str
        filter: Json = None
        order: Literal["asc", "desc"] = "asc"

    def parameters(self, query: Query) -> set[str]:
        """The API is asked for exactly the window."""
        if not query.by:
            raise ValueError("by must not be empty")
        return {"window_start", "window_end"}

    def open(self) -> None:
        self._session = [self.uri, self.token.reveal()]

    def close(self) -> None:
        self._session = None

    def check(self, query: Query) -> list[str] | None:
        return [query.by, "value"]

    def watermark(self) -> datetime | None:
        return None

    def read(self, request: Request) -> Iterator[Row]:
        assert_type(request.window, Window | None)
        assert_type(request.timeout, float)
        for page in range(3):
            request.check()
            with request.on_cancel(self.close):
                yield {request.query.by: "open", "value": page}
            request.wait(0.1)
        raise Unavailable(f"{request.origin} lost the connection")


@define
class Shelf(Sink):
    """Keeps what it is given."""

    path: Path
    kept: list[Metric] = field(init=False, factory=list)

    def write(self, batch: Batch) -> None:
        assert_type(batch.encoded[0], bytes)
        assert_type(batch.json_lines(), bytes)
        assert_type(batch.json_array(), bytes)
        assert_type(batch[0].value, int | float | Decimal | None)
        if len(batch) > self.batch_metrics:
            raise Rejected("too many", indices=[0])
        if not self.path.exists():
            raise RetryAfter(5.0)
        self.kept.extend(batch)

    def check(self) -> None:
        self.path.stat()


@define
class Hourly(Schedule):
    """Every hour, so many minutes past."""

    past: timedelta = timedelta()

    def next_after(self, moment: datetime) -> datetime:
        return moment.replace(minute=0) + timedelta(hours=1) + self.past


@hookimpl
def signals_register_sources(register: Register) -> None:
    """A class, or its place as text."""
    register("tickets", Tickets)
    register("lazy", "helpdesk.source:Tickets")


@hookimpl
def signals_register_sinks(register: Register) -> None:
    """One sink."""
    register("shelf", Shelf)


@hookimpl
def signals_register_schedules(register: Register) -> None:
    """One schedule."""
    register("hourly", Hourly)


def embed() -> list[Metric]:
    """Run a collector from code."""
    collector = Collector(
        name="desk.tickets.1d",
        source=Tickets("https://127.0.0.1", Secret("${TOKEN}"), max_connections=2),
        query=Tickets.Query("state"),
        metric=MetricDefinition("desk.tickets", "COUNT"),
        grain="1d",
        timezone="Europe/Paris",
        window=WindowPolicy(revise=[timedelta(hours=1)]),
        schedule=Hourly(),
        sinks={"shelf": Shelf(Path("kept"), batch_metrics=10)},
    )
    assert_type(
        Grain.parse("1d", "Europe/Paris").completed(datetime.now(), datetime.now()), list[Window]
    )
    with Runner([collector]) as runner:
        try:
            reading = runner.invoke("desk.tickets.1d")
        except Cancelled:
            return []
        except DeliveryError as error:
            reading = error.reading
    assert_type(reading, Reading)
    return list(reading.metrics)
