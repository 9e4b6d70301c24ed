"""A source, a sink and a schedule that keep every promise, on files in a folder."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import ClassVar

from attrs import define, field

from signals_core import (
    Batch,
    Rejected,
    Request,
    RetryAfter,
    Row,
    Schedule,
    Secret,
    Sink,
    Source,
    Unavailable,
    hookimpl,
)

KINDS = ("counts", "all", "endless", "slow", "gone")
START = datetime(1, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@define
class Ledger(Source):
    """Rows of a file; a reading sees what stood in it when it began."""

    folder: Path
    token: Secret
    note: str = ""
    _is_open: bool = field(init=False, default=False, eq=False)

    @define
    class Query:
        """What to read."""

        what: str = "counts"

    def open(self) -> None:
        self._text()
        self._is_open = True

    def close(self) -> None:
        self._is_open = False

    def parameters(self, query: Query) -> set[str]:
        if query.what not in KINDS:
            raise ValueError(f"what: {query.what!r} is unknown (there are {', '.join(KINDS)})")
        return {"window_start", "window_end"} if query.what == "counts" else set()

    def check(self, query: Query) -> list[str] | None:
        self._text()
        if query.what == "gone":
            raise ValueError("there is no such page")
        return ["kind", "value"] if query.what == "counts" else None

    def watermark(self) -> datetime | None:
        return datetime.now(UTC)

    def read(self, request: Request) -> Iterator[Row]:
        """Yield rows of one snapshot."""
        if not self._is_open:
            raise Unavailable("the ledger is not open")
        yield from getattr(self, f"_{request.query.what}")(request)

    def _counts(self, request: Request) -> Iterator[Row]:
        counts: dict[str, int] = {}
        for row in self._rows():
            if self._is_inside(request, row):
                counts[row["kind"]] = counts.get(row["kind"], 0) + 1
        for kind, value in counts.items():
            yield {"kind": kind, "value": value}

    def _is_inside(self, request: Request, row: Row) -> bool:
        window = request.window
        return window is not None and window.start <= row["at"] < window.end

    def _all(self, request: Request) -> Iterator[Row]:
        for row in self._rows():
            request.check()
            yield {"kind": row["kind"], "value": row["value"]}

    def _endless(self, request: Request) -> Iterator[Row]:
        for value in count():
            request.wait(0.001)
            yield {"value": value}

    def _slow(self, request: Request) -> Iterator[Row]:
        request.wait(600)
        yield {"value": 1}

    def _rows(self) -> Iterator[Row]:
        for line in self._text().splitlines():
            row = json.loads(line)
            yield {**row, "at": datetime.fromisoformat(row["at"])}

    def _text(self) -> str:
        try:
            return (self.folder / "rows.jsonl").read_text()
        except OSError as error:
            raise Unavailable(f"{self.folder}: {error.strerror}") from error


@define
class Shelf(Sink):
    """Keeps what it is given in a file, in pieces, and cuts off what a kill left half written."""

    folder: Path
    token: Secret
    pause: ClassVar[float] = 0.0
    _is_open: bool = field(init=False, default=False, eq=False)

    def open(self) -> None:
        self._refuse_absence()
        self._is_open = True

    def close(self) -> None:
        self._is_open = False

    def check(self) -> None:
        self._refuse_absence()

    def write(self, batch: Batch) -> None:
        if not self._is_open:
            raise Unavailable("the shelf is not open")
        self._refuse_absence()
        if (self.folder / "busy").exists():
            raise RetryAfter(2, "the shelf is busy")
        guilty = [n for n, metric in enumerate(batch) if metric.name == "kit.poison"]
        if guilty:
            raise Rejected("poison", guilty)
        self._append(batch)

    def _append(self, batch: Batch) -> None:
        with self._file.open("ab") as file:
            self._cut(file.fileno())
            first, second = _halves(batch.json_lines())
            file.write(first)
            file.flush()
            time.sleep(self.pause)
            file.write(second)
            file.flush()
            os.fsync(file.fileno())

    def _cut(self, descriptor: int) -> None:
        whole = self._file.read_bytes().rpartition(b"\n")
        os.ftruncate(descriptor, len(whole[0] + whole[1]))

    @property
    def _file(self) -> Path:
        return self.folder / "metrics.jsonl"

    def _refuse_absence(self) -> None:
        if not self.folder.is_dir():
            raise Unavailable(f"{self.folder}: there is no such folder")


@define
class SlowShelf(Shelf):
    """The same, but slow enough to be killed in the middle."""

    pause: ClassVar[float] = 0.1


def _halves(lines: bytes) -> tuple[bytes, bytes]:
    """Break the bytes in the middle of a line."""
    middle = len(lines) // 2 + 20
    return lines[:middle], lines[middle:]


@define
class Hourly(Schedule):
    """Ticks on the hour, in UTC."""

    def next_after(self, moment: datetime) -> datetime:
        since = moment.astimezone(UTC) - START
        return (START + (since // HOUR + 1) * HOUR).astimezone(moment.tzinfo)


@hookimpl
def signals_register_sources(register) -> None:
    import broken

    for cls in (Ledger, *broken.SOURCES):
        register(cls.__name__.lower(), cls)


@hookimpl
def signals_register_sinks(register) -> None:
    import broken

    for cls in (Shelf, SlowShelf, *broken.SINKS):
        register(cls.__name__.lower(), cls)


@hookimpl
def signals_register_schedules(register) -> None:
    import broken

    for cls in (Hourly, *broken.SCHEDULES):
        register(cls.__name__.lower(), cls)
