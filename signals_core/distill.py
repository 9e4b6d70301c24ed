"""Rows to metrics, and every check on the way.

This is the hot path, taken once a row. Runs of rows of the same columns are worked off column by
column, the text of repeated tag values is remembered, and lines are put together without a metric
object; a row that cannot become a metric is looked for only when there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from itertools import chain
from json.encoder import encode_basestring as _quote
from operator import add
from typing import Any

from attrs import define, field, frozen

from signals_core.collector import Collector, MetricDefinition, Reading
from signals_core.errors import RowError
from signals_core.metric import (
    Batch,
    Envelope,
    Identity,
    Metric,
    Metrics,
    netstring,
    uuid_text,
)
from signals_core.pinned import Unfit, tag_text, value_text
from signals_core.plugin import Row
from signals_core.window import Window

_REMEMBERED = 10_000  # tag texts kept per column: bounds memory where every value is new
_LONGEST_RUN = 1_000  # rows that are made into metrics column by column
_PLAIN = 1 << 62  # integers below this need no care when they become text
_SHOWN = 200  # characters of a row in an error

#: A tag as it goes into a line (`"key":"value",`) and into the identity (two netstrings).
_Tag = tuple[str, str]


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
    for number, shape, run in _runs(rows, collector.max_rows):
        check()
        still.add(number, shape, run)
    return Reading(
        collector=collector.id,
        timestamp=timestamp,
        window=window,
        metrics=Metrics(still.batches),
        rows=still.rows,
        nulls=still.nulls,
        warnings=tuple(still.warnings()),
    )


def _runs(rows: Iterable[Row], most: int) -> Iterator[tuple[int, tuple[str, ...], list[Row]]]:
    """Yield runs of rows that have the same columns, with the number of the first."""
    number = 1
    shape: tuple[str, ...] = ()
    run: list[Row] = []
    for count, row in enumerate(rows, 1):
        its = tuple(row)
        if run and (its != shape or len(run) == _LONGEST_RUN):
            yield number, shape, run
            number, run = count, []
        if count > most:
            raise RowError(
                f"more than {most} rows: the query returns raw data "
                "(aggregate it with GROUP BY, or raise max_rows)"
            )
        shape = its
        run.append(row)
    if run:
        yield number, shape, run


@frozen
class _Column:
    """A column that becomes a tag, and the tags it has become so far.

    Cells of the types `values` are no tags: they are numbers of which someone forgot the metric.
    """

    name: str
    key: _Tag
    values: tuple[type, ...]
    remembered: dict[str, _Tag] = field(factory=dict)

    def tags(self, rows: list[Row]) -> list[_Tag]:
        """Return the tags of this column in `rows`. Raises `Unfit`."""
        name, known, new, other = self.name, self.remembered.get, self._new, self._other
        return [
            known(cell) or new(cell) if cell.__class__ is str else other(cell)
            for cell in [row[name] for row in rows]
        ]

    def _new(self, text: str) -> _Tag:
        tag = _joined(self.key, text)
        if len(self.remembered) < _REMEMBERED:
            self.remembered[text] = tag
        return tag

    def _other(self, cell: Any) -> _Tag:
        if cell is None:
            return "", ""  # NULL is the absence of the tag
        if isinstance(cell, self.values):
            remedy = "add a metric for it, or cast it to text to make it a tag"
            raise Unfit(self.name, "a number that no metric names", "tag", remedy)
        text = tag_text(cell, self.name)
        return self.remembered.get(text) or self._new(text)


_Layout = list[_Column | _Tag]


@define
class _Output:
    """One metric definition in this reading: where its value is, and what its lines share.

    `layouts` has, for each shape of row, the columns and configured tags in tag order.
    """

    column: str
    identity: Identity
    envelope: Envelope
    tags: Mapping[str, str]
    layouts: dict[tuple[str, ...], _Layout] = field(factory=dict)
    _seen: set[str] = field(factory=set)

    def lines(self, rows: list[Row], layout: _Layout) -> list[str | None]:
        """Return one line a row: None where the value is NULL.

        Raises `Unfit` for a cell that fits nowhere and `_Twice` for tags that were seen before.
        """
        texts, netstrings = _tags(rows, layout)
        hash_of, line, seen = self.identity.hash, self.envelope.line, self._seen
        lines: list[str | None] = []
        for value, text, pairs in zip(self._values(rows), texts, netstrings, strict=True):
            if value is None:
                lines.append(None)
                continue
            digest = hash_of(pairs.encode())
            lines.append(line(uuid_text(digest), value, text))
            if digest in seen:
                raise _Twice(lines)
            seen.add(digest)
        return lines

    def _values(self, rows: list[Row]) -> list[str | None]:
        column, plain = self.column, int.__repr__
        return [
            plain(cell)
            if cell.__class__ is int and -_PLAIN < cell < _PLAIN
            else None
            if cell is None
            else value_text(cell, column)
            for cell in [row[column] for row in rows]
        ]


class _Twice(Exception):
    """The last of `lines` has the tags of an earlier one, or of one in an earlier run."""

    def __init__(self, lines: list[str | None]) -> None:
        self.lines = lines
        super().__init__()


def _tags(rows: list[Row], layout: _Layout) -> tuple[list[str], list[str]]:
    """Return the tags of each row, as members of a JSON object (with a comma) and as netstrings."""
    texts, netstrings = [""] * len(rows), [""] * len(rows)
    for entry in layout:
        if isinstance(entry, tuple):
            column: list[tuple[str, ...]] = [(part,) * len(rows) for part in entry]
        else:
            column = list(zip(*entry.tags(rows), strict=True))
        texts = list(map(add, texts, column[0]))
        netstrings = list(map(add, netstrings, column[1]))
    return texts, netstrings


@define
class _Distillation:
    """The state of one reading while its rows come in."""

    outputs: list[_Output]
    value_columns: frozenset[str]
    many: bool
    batches: list[Batch] = field(factory=list)
    rows: int = 0
    nulls: int = 0

    @classmethod
    def of(cls, collector: Collector, timestamp: datetime, window: Window | None) -> _Distillation:
        """Prepare what all metrics of each definition share."""
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

    def add(self, number: int, shape: tuple[str, ...], rows: list[Row]) -> None:
        """Make the metrics of a run of rows of one shape, the first of which is row `number`."""
        self.rows += len(rows)
        made = [self._lines_of(output, number, shape, rows) for output in self.outputs]
        lines = made[0] if len(made) == 1 else list(chain.from_iterable(zip(*made, strict=True)))
        kept = [line for line in lines if line]
        self.nulls += len(lines) - len(kept)
        if kept:
            kept.append("")
            self.batches.append(Batch.of_lines("\n".join(kept).encode()))

    def warnings(self) -> Iterator[str]:
        """Say what a person should know of a reading that succeeded."""
        if not self.rows:
            yield "the query returned no rows, so there are no metrics"
        if self.nulls:
            values = "1 value was" if self.nulls == 1 else f"{self.nulls} values were"
            yield (
                f"{values} NULL and gave no metric (where NULL means zero, write COALESCE(…, 0))"
            )

    def _lines_of(
        self, output: _Output, number: int, shape: tuple[str, ...], rows: list[Row]
    ) -> list[str | None]:
        if output.column not in shape:
            raise _no_value(number, rows[0], output.column)
        layout = output.layouts.get(shape) or self._lay_out(shape, output)
        try:
            return output.lines(rows, layout)
        except (Unfit, UnicodeEncodeError):
            raise _unfit(number, rows, output.column, layout) from None
        except _Twice as twice:
            raise self._twice(number, rows, twice.lines, output) from None

    def _lay_out(self, shape: tuple[str, ...], output: _Output) -> _Layout:
        entries: dict[str, _Column | _Tag] = {
            name: _joined(_key(name), text) for name, text in output.tags.items()
        }
        values = (float, Decimal) if self.many else ()
        for name in shape:
            if name not in self.value_columns:
                _refuse_column(name, output.tags)
                entries[name] = _Column(name, _key(name), values)
        output.layouts[shape] = layout = [entries[name] for name in sorted(entries)]
        return layout

    def _twice(
        self, number: int, rows: list[Row], lines: list[str | None], output: _Output
    ) -> RowError:
        *before, twin = lines
        assert twin is not None
        metric = Metric.decode(twin.encode())
        head = twin[: twin.index(",")]  # the uuid
        same = [index for index, line in enumerate(before) if line and line.startswith(head)]
        if same:
            first = f"row {number + same[0]} is {_shown(rows[same[0]])}"
        else:
            earlier = next(each for each in Metrics(self.batches) if each.uuid == metric.uuid)
            columns = {key: text for key, text in metric.tags.items() if key not in output.tags}
            first = f"an earlier one is {_shown({**columns, output.column: earlier.value})}"
        tags = ", ".join(f"{key}={text}" for key, text in metric.tags.items()) or "none"
        return RowError(
            f"two rows make the same metric {metric.name!r} with the tags {tags}: {first}, row "
            f"{number + len(before)} is {_shown(rows[len(before)])} (a GROUP BY column is missing "
            "from the result, or the rows are not aggregated)"
        )


def _refuse_column(name: Any, configured: Mapping[str, str]) -> None:
    if not isinstance(name, str) or name != name.encode(errors="replace").decode():
        raise RowError(f"the column {name!r} has a name that is no text")
    if name in configured:
        raise RowError(
            f"the column {name!r} meets a configured tag of the same name "
            "(rename the column with AS, or take the tag out of the configuration)"
        )


def _key(name: str) -> _Tag:
    """Return what all tags of one name begin with."""
    return f"{_quote(name)}:", netstring(name).decode()


def _joined(key: _Tag, text: str) -> _Tag:
    length = len(text) if text.isascii() else len(text.encode())
    return f"{key[0]}{_quote(text)},", f"{key[1]}{length}:{text},"


def _no_value(number: int, row: Row, column: str) -> RowError:
    return RowError(
        f"row {number} has no column {column!r}: {_shown(row)} "
        f"(name the number AS {column}, or set the metric's value to its column)"
    )


def _unfit(number: int, rows: list[Row], value_column: str, layout: _Layout) -> RowError:
    """Find the first row of a run that cannot become a metric, and say why."""
    for index, row in enumerate(rows):
        try:
            if row[value_column] is not None:
                value_text(row[value_column], value_column)
            _tags([row], layout)[1][0].encode()
        except Unfit as error:
            shown = _shown(row)
            return RowError(f"row {number + index}: {error}: {shown} ({error.remedy})")
        except UnicodeEncodeError:
            return RowError(f"row {number + index} holds text that is no UTF-8: {_shown(row)}")
    raise AssertionError("every row of the run can become a metric")


def _shown(row: Row) -> str:
    text = ", ".join(f"{name}={value!r}" for name, value in row.items())
    return "{" + (text if len(text) <= _SHOWN else text[:_SHOWN] + "…") + "}"
