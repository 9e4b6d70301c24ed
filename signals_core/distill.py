"""Rows to metrics, and every check on the way.

This is the hot path, taken once a row: column names are laid out once per shape of row, the text
of repeated tag values is remembered, and lines are put together without a metric object.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from json.encoder import encode_basestring as _quote
from typing import Any
from uuid import UUID

from attrs import define, field, frozen

from signals_core.collector import Collector, MetricDefinition, Reading
from signals_core.errors import RowError
from signals_core.metric import Batch, Envelope, Identity, netstring, number_text, uuid_text
from signals_core.plugin import Row
from signals_core.window import Window, iso

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?P<exponent>[eE][+-]?[0-9]+)?")
_LARGEST_EXPONENT = 10_000  # beyond what any database's numeric type holds before its point
_REMEMBERED = 10_000  # tag texts kept per column: bounds memory where every value is new
_ROWS_BETWEEN_CHECKS = 1_000

#: A tag as it goes into a line (`"key":"value"`) and into the identity (its netstrings).
_Tag = tuple[str, bytes]


def distill(
    collector: Collector,
    rows: Iterable[Row],
    *,
    timestamp: datetime,
    window: Window | None,
    check: Callable[[], None] = lambda: None,
) -> Reading:
    """Turn rows into the metrics of one reading.

    `window` is the bucket they belong to, `timestamp` their version; `check` is called now and
    then and may raise to stop. Raises `RowError` for rows that cannot become metrics.
    """
    still = _Distillation.of(collector, timestamp, window)
    count = 0
    for count, row in enumerate(rows, 1):
        if count > collector.max_rows:
            raise RowError(
                f"more than {collector.max_rows} rows: the query returns raw data "
                "(aggregate it with GROUP BY, or raise max_rows)"
            )
        if not count % _ROWS_BETWEEN_CHECKS:
            check()
        still.add(count, row)
    return Reading(
        collector=collector.id,
        timestamp=timestamp,
        window=window,
        metrics=Batch(still.lines),
        rows=count,
        nulls=still.nulls,
        warnings=tuple(still.warnings(count)),
    )


@frozen
class _Column:
    """A column that becomes a tag, and the tags it has become so far."""

    name: str
    remembered: dict[str, _Tag] = field(factory=dict)

    def tag(self, value: Any) -> _Tag:
        """Return the tag of a value that is not NULL. Raises `ValueError`."""
        text = value if type(value) is str else _tag_text(value)
        found = self.remembered.get(text)
        if found is None:
            found = _tag(self.name, text)
            if len(self.remembered) < _REMEMBERED:
                self.remembered[text] = found
        return found


@frozen
class _Output:
    """One metric definition in this reading: where its value is, and what its lines share."""

    column: str
    identity: Identity
    envelope: Envelope
    tags: Mapping[str, str]
    layouts: dict[tuple[str, ...], list[_Column | _Tag]] = field(factory=dict)


@define
class _Distillation:
    """The state of one reading while its rows come in."""

    outputs: list[_Output]
    value_columns: frozenset[str]
    many: bool
    lines: list[bytes] = field(factory=list)
    nulls: int = 0
    _place_of: dict[bytes, int] = field(factory=dict)

    @classmethod
    def of(cls, collector: Collector, timestamp: datetime, window: Window | None) -> _Distillation:
        start, end = (window.start, window.end) if window else (timestamp, timestamp)
        grain = collector.buckets

        def output(definition: MetricDefinition) -> _Output:
            return _Output(
                definition.value,
                Identity(collector.id, definition.name, start, end),
                Envelope.build(
                    name=definition.name,
                    type=definition.type,
                    collector=collector.id,
                    timestamp=timestamp,
                    bucket_start=window.start if window else None,
                    grain=grain.text if grain else None,
                    timezone=grain.timezone if grain else None,
                    window_end=window.end if window and collector.window else None,
                ),
                {**collector.tags, **definition.tags},
            )

        return cls(
            outputs=[output(definition) for definition in collector.definitions],
            value_columns=frozenset(each.value for each in collector.definitions),
            many=collector.metric is None,
        )

    def add(self, number: int, row: Row) -> None:
        """Make the metrics of row `number`."""
        shape = tuple(row)
        for output in self.outputs:
            try:
                value = row[output.column]
            except KeyError:
                raise _no_value(number, row, output.column) from None
            if value is None:
                self.nulls += 1
                continue
            layout = output.layouts.get(shape)
            if layout is None:
                layout = output.layouts[shape] = self._lay_out(number, row, output.tags)
            if type(value) is int and -1e18 < value < 1e18:
                text = int.__repr__(value)
            else:
                text = _value_text(value, number, row, output.column)
            texts, netstrings = [], []
            for entry in layout:
                if type(entry) is _Column:
                    cell = row[entry.name]
                    if cell is None:
                        continue
                    try:
                        tag = entry.tag(cell)
                    except ValueError as error:
                        raise _no_tag(number, row, entry.name, error) from None
                else:
                    tag = entry  # type: ignore[assignment]  # narrowed by the exact type above
                texts.append(tag[0])
                netstrings.append(tag[1])
            digest = output.identity.digest(b"".join(netstrings))
            place = len(self.lines)
            if self._place_of.setdefault(digest, place) != place:
                raise self._twice(number, row, self._place_of[digest])
            tags = "{" + ",".join(texts) + "}"
            self.lines.append(output.envelope.line(uuid_text(digest), text, tags).encode())

    def warnings(self, rows: int) -> Iterator[str]:
        """Say what a person should know of a reading that succeeded."""
        if not rows:
            yield "the query returned no rows, so there are no metrics"
        if self.nulls:
            yield (
                f"{self.nulls} values were NULL and gave no metric "
                "(where NULL means zero, write COALESCE(…, 0))"
            )

    def _lay_out(
        self, number: int, row: Row, configured: Mapping[str, str]
    ) -> list[_Column | _Tag]:
        entries: dict[str, _Column | _Tag] = {
            name: _tag(name, text) for name, text in configured.items()
        }
        for name in row:
            if not isinstance(name, str):
                raise RowError(f"row {number} has the column {name!r}, whose name is no text")
            if name in self.value_columns:
                continue
            if name in configured:
                raise RowError(
                    f"the column {name!r} meets a configured tag of the same name "
                    "(rename the column with AS, or take the tag out of the configuration)"
                )
            if self.many and isinstance(row[name], (float, Decimal)):
                raise RowError(
                    f"the column {name!r} holds a number that no metric names: {_shown(row)} "
                    "(add a metric for it, or cast it to text to make it a tag)"
                )
            entries[name] = _Column(name)
        return [entries[name] for name in sorted(entries)]

    def _twice(self, number: int, row: Row, place: int) -> RowError:
        first = Batch(self.lines)[place]
        tags = ", ".join(f"{key}={text}" for key, text in first.tags.items()) or "none"
        return RowError(
            f"two rows make the same metric {first.name!r} with the tags {tags}: the first has "
            f"{first.value}, row {number} is {_shown(row)} (a GROUP BY column is missing from "
            "the result, or the rows are not aggregated)"
        )


def _tag(name: str, text: str) -> _Tag:
    try:
        return f"{_quote(name)}:{_quote(text)}", netstring(name) + netstring(text)
    except UnicodeEncodeError:
        raise ValueError("is no text that UTF-8 can hold") from None


def _tag_text(value: Any) -> str:
    """Return the one pinned text of a tag. Raises `ValueError` for what is none."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        if not isinstance(value, int) and not math.isfinite(value):
            raise ValueError(f"is {value}")
        return number_text(value)
    if isinstance(value, datetime):
        return value.isoformat() if value.tzinfo is None else iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise ValueError(f"is {_kind_of(value)}")


def _value_text(value: Any, number: int, row: Row, column: str) -> str:
    """Return a number as JSON text. Raises `RowError` for what is none."""
    if isinstance(value, str) and (text := _plain_number(value)):
        return text
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        if isinstance(value, int) or math.isfinite(value):
            return number_text(value)
        shown = str(value)
    else:
        shown = f"the text {value!r}" if isinstance(value, str) else _kind_of(value)
    raise RowError(
        f"the {column!r} of row {number} is {shown}, which is no number: {_shown(row)} "
        "(cast it in the query)"
    )


def _plain_number(text: str) -> str | None:
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    if match["exponent"] is None:
        return text
    if abs(int(match["exponent"][1:])) > _LARGEST_EXPONENT:
        return None
    return format(Decimal(text), "f")


def _no_value(number: int, row: Row, column: str) -> RowError:
    return RowError(
        f"row {number} has no column {column!r}: {_shown(row)} "
        f"(name the number AS {column}, or set the metric's value to its column)"
    )


def _no_tag(number: int, row: Row, column: str, error: ValueError) -> RowError:
    return RowError(
        f"the column {column!r} of row {number} {error}, which is no tag: {_shown(row)} "
        "(cast it to text, or take it out of the result)"
    )


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return f"the boolean {'true' if value else 'false'}"
    kinds = (
        (bytes, "bytes"),
        (bytearray, "bytes"),
        (memoryview, "bytes"),
        (list, "an array"),
        (tuple, "an array"),
        (Mapping, "a document"),
    )
    for kind, name in kinds:
        if isinstance(value, kind):
            return name
    return f"a {type(value).__name__}"


def _shown(row: Row) -> str:
    text = ", ".join(f"{name}={value!r}" for name, value in row.items())
    return "{" + (text if len(text) <= 200 else text[:200] + "…") + "}"
