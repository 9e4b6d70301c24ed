"""A source whose rows a test writes down."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from attrs import define, field

from signals_core import Json, Request, Row, Source


@define
class RowsSource(Source):
    """Yields rows from a list; each read sees the list as it is then, from beginning to end.

    With `time`, the name of a column, it is read window by window: the rows whose time lies in
    `[start, end)`, without that column. A time without zone is in UTC.
    """

    rows: Json
    """A list of mappings of column name to value."""

    time: str | None = None
    """The column that holds an instant, as a `datetime` or as ISO text."""

    raises: Exception | None = field(init=False, default=None, eq=False)
    """What `read` raises after the last row, as `Unavailable("down")`; None: nothing."""

    def parameters(self, query: Any) -> set[str]:
        return {"window_start", "window_end"} if self.time else set()

    def read(self, request: Request) -> Iterator[Row]:
        """Yield the rows of one snapshot: the list as it is when the read begins."""
        for row in list(self.rows):
            request.check()
            if self.time is None:
                yield row
            elif request.window and request.window.start <= _instant(row[self.time]) < (
                request.window.end
            ):
                yield {name: value for name, value in row.items() if name != self.time}
        if self.raises is not None:
            raise self.raises


def _instant(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
