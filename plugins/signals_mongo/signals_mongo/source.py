"""The source type `mongodb`.

The driver is imported when it is first needed: a configuration is validated without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define, field

from signals_core import Json, Request, Row, Secret, Source, Unavailable, Window
from signals_mongo.pipeline import bind, bounds_in, columns_of, names_in, stages_of

_SOME_WINDOW = Window(datetime(2000, 1, 1, tzinfo=UTC), datetime(2000, 1, 2, tzinfo=UTC))


@define
class MongoDB(Source):
    """Aggregations of a MongoDB database, read-only.

    A pipeline runs with read concern majority: a row holds nothing that could be rolled back, and
    all that was written before the watermark, on whichever member the URI's read preference
    chooses. The server does not freeze the collection meanwhile: a document that changes while
    the pipeline passes over it counts as before or as after the change, never as a mixture.
    """

    uri: Secret
    """`mongodb://…` or `mongodb+srv://…`. Its options are the driver's, as `readPreference`."""

    # Of the connection and not of the query: who shares a source says once where the data is.
    database: str
    """The database that holds the collections."""

    allow_javascript: bool = False
    """Whether pipelines may run JavaScript in the server ($function, $accumulator, $where)."""

    connect_timeout: timedelta = timedelta(seconds=10)
    """How long to look for a server that can be read from."""

    # What connect() returns; typed loosely, as a type of the driver would have to be imported.
    _link: Any = field(init=False, default=None, eq=False, repr=False)

    @define
    class Query:
        """An aggregation over one collection."""

        collection: str
        """The collection, or view, to read."""

        agg: Json
        """The pipeline, as text of extended JSON or as a YAML list of stages."""

    def parameters(self, query: Query) -> set[str]:
        """Return the bounds of the window that the pipeline uses; see `Source.parameters`.

        Raises `ValueError` for a pipeline that writes, that runs JavaScript which is not allowed,
        or that cannot be right.
        """
        for key, name in (("database", self.database), ("collection", query.collection)):
            if not name or "$" in name or "\0" in name:
                raise ValueError(f"{key}: {name!r} is no name of a {key}")
        return bounds_in(self._reads_only(query.agg))

    def open(self) -> None:
        """Connect and authenticate. Raises `Unavailable` where that is not possible."""
        from signals_mongo.link import Link

        self.close()
        self._link = Link.connect(
            self.uri.reveal(),
            self.database,
            readers=self.max_connections,
            patience=self.connect_timeout.total_seconds(),
        )

    def close(self) -> None:
        """Close all connections."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def check(self, query: Query) -> list[str] | None:
        """Have the server plan the pipeline without running it; see `Source.check`.

        Raises `ValueError` for a collection that does not exist.
        """
        stages = self._stages(query, _SOME_WINDOW)
        self._connected.explain(query.collection, stages)
        return columns_of(stages)

    def watermark(self) -> datetime | None:
        """Return the server's last majority write, or its clock when nothing is under way.

        A secondary cannot know that nothing is under way, so there it is always the last write;
        an idle primary writes every ten seconds for this purpose.
        """
        moment: datetime = self._connected.watermark()
        return moment

    def read(self, request: Request) -> Iterator[Row]:
        """Yield the rows of the pipeline, batch by batch; the class says how consistent they are.

        A document is a row, its fields are the columns. A compound group key (`_id: {a: …, b: …}`)
        gives the columns `a` and `b`; any other `_id` is a column of that name.
        """
        stages = self._stages(request.query, request.window)
        yield from self._connected.rows(request, request.query.collection, stages)

    def _stages(self, query: Query, window: Window | None) -> list[dict[str, Any]]:
        from signals_mongo.bson_values import bounds_of, from_extended_json

        stages = self._reads_only(query.agg)
        names = names_in(stages)
        if names and window is None:
            raise ValueError(f"the pipeline uses :{min(names)}, but there is no window")
        values = bounds_of(window, names) if window is not None else {}
        # Looked at again as the server will get it.
        return self._reads_only(from_extended_json(bind(stages, values)))

    def _reads_only(self, agg: Any) -> list[dict[str, Any]]:
        return stages_of(agg, allow_javascript=self.allow_javascript)

    @property
    def _connected(self) -> Any:
        if self._link is None:
            raise Unavailable("the source is not open")
        return self._link
