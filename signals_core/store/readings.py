"""The transaction that a successful run ends in."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from attrs import evolve, frozen

from signals_core.collector import Reading
from signals_core.coverage import Coverage
from signals_core.metric import Metric, version_text
from signals_core.store import coverage as coverages
from signals_core.store import payload, runs
from signals_core.store.collectors import collector_row
from signals_core.store.database import Connection, Database
from signals_core.store.outbox import make_pending
from signals_core.store.records import Committed, CoverageKey, Item, Run, micros, moment
from signals_core.store.sinks import SinkRow, change_totals, sink_rows
from signals_core.window import Window

_UUID = slice(len('{"uuid":"'), len('{"uuid":"') + 36)  # where a line has it
_NO_VALUE = b',"value":null,'  # within a text there is a backslash before each quote


class Readings:
    """The part of the store that takes readings."""

    _database: Database
    _limit_bytes: int

    def commit(
        self,
        reading: Reading,
        *,
        run: Run,
        sinks: Sequence[str],
        coverage: tuple[CoverageKey, Coverage | None, Coverage] | None = None,
        resend: Collection[str] | None = None,
        windowed: bool | None = None,
    ) -> Committed:
        """Store all that follows from a reading, in one transaction.

        That is its run, its metrics once and pending for each sink, the coverage and the
        high-water mark. A bucket that holds what it held before is not sent, except to the sinks
        in `resend`; in one that changed, what vanished is retracted.

        A reading that is not `windowed` (by default: has no coverage) is not kept for a sink
        whose outbox is full.

        Raises `StoreFull` when nothing could be stored, and `ValueError` for a version that is
        not later than the bucket's last, or for a coverage that is not what is stored.
        """
        content = _Content.of(reading)
        if windowed is None:
            windowed = coverage is not None
        with self._database.transaction(keeps=reading.collector) as connection:
            collector = collector_row(connection, reading.collector)
            earlier = _earlier(connection, collector.number, reading)
            plan = _Plan.of(
                is_unchanged=earlier is not None and content.says_what(earlier),
                sinks=sink_rows(connection, (*sinks, *(resend or ()))),
                again={*(resend or ()), *_missed(connection, earlier, sinks)},
                limit=None if windowed else self._limit_bytes,
            )
            if coverage is not None:
                coverages.save(connection, *coverage)
                plan = plan.noting(_no_longer_retained(reading.window, earlier, coverage[1]))
            run_id = runs.insert(
                connection,
                collector,
                plan.outcome_of(run),
                version=micros(reading.timestamp),
                kept=plan.kept,
            )
            retracted = _keep(connection, run_id, content, earlier, plan) if plan.kept else 0
            _list_dropped(connection, plan.dropped, run_id, reading)
        return Committed(
            reading_id=run_id if plan.kept else None,
            sent=tuple(sink.name for sink in plan.sent),
            retracted=retracted,
            unchanged=plan.unchanged,
            dropped=tuple(sink.name for sink in plan.dropped),
            note=plan.note,
        )


class _Earlier(NamedTuple):
    """The last retained reading of a bucket, with its lines and what it retracted."""

    run: int
    version: int
    lines: bytes


@frozen
class _Content:
    """The lines of a reading, how many, and their version."""

    lines: bytes
    count: int
    version: datetime

    @classmethod
    def of(cls, reading: Reading) -> _Content:
        lines = b"".join(batch.json_lines() for batch in reading.metrics.batches)
        return cls(lines, len(reading.metrics), reading.timestamp)

    def says_what(self, earlier: _Earlier) -> bool:
        """Whether the earlier reading says the same, apart from its version and in any order."""
        before = _unversioned(_without_retractions(earlier.lines), moment(earlier.version))
        now = _unversioned(self.lines, self.version)
        return before == now or sorted(before.split(b"\n")) == sorted(now.split(b"\n"))


def _unversioned(lines: bytes, version: datetime) -> bytes:
    # The first of these in a line is in a tag only where both readings have it there.
    return lines.replace(f',"timestamp":"{version_text(version)}"'.encode(), b"")


def _without_retractions(lines: bytes) -> bytes:
    """Return what was read, in front of what was retracted."""
    first = lines.find(_NO_VALUE)
    return lines if first < 0 else lines[: lines.rfind(b"\n", 0, first) + 1]


@frozen
class _Plan:
    """What becomes of a reading: who is sent it, for whom it is not kept, and what is said.

    `again`: some sink may have missed what was said of the bucket before.
    """

    unchanged: bool
    sent: tuple[SinkRow, ...]
    again: bool
    dropped: tuple[SinkRow, ...] = ()
    note: str | None = None

    @classmethod
    def of(
        cls,
        *,
        is_unchanged: bool,
        sinks: Sequence[SinkRow],
        again: Collection[str],
        limit: int | None,
    ) -> _Plan:
        wanted = [sink for sink in sinks if not is_unchanged or sink.name in again]
        full = [sink for sink in wanted if limit is not None and sink.bytes >= limit]
        sent = tuple(sink for sink in wanted if sink not in full)
        plan = cls(is_unchanged, sent, again=bool(again))
        # Where nothing changed, the reading that these sinks miss was listed already.
        if is_unchanged or not full:
            return plan
        names = ", ".join(sink.name for sink in full)
        return evolve(plan, dropped=tuple(full)).noting(f"not kept for {names}: the outbox is full")

    def noting(self, note: str | None) -> _Plan:
        """Return the plan with something more to say."""
        if note is None:
            return self
        return evolve(self, note="; ".join(filter(None, (self.note, note))) or None)

    @property
    def kept(self) -> bool:
        """Whether the reading is stored: it is what the next one is compared with."""
        return bool(self.sent) or not (self.unchanged or self.dropped)

    def outcome_of(self, run: Run) -> Run:
        """Return the run as it is recorded."""
        if not self.note and (self.sent or not self.unchanged):
            return run
        reason = "; ".join(filter(None, (run.reason, self.note))) or None
        if self.unchanged and not self.sent:
            return evolve(run, outcome="unchanged", reason=reason)
        return evolve(run, reason=reason)


def _earlier(connection: Connection, number: int, reading: Reading) -> _Earlier | None:
    if reading.window is None:
        return None
    row = connection.execute(
        """
        SELECT id, version FROM run
        WHERE collector = ? AND window_start = ? AND window_end = ?
            AND version IS NOT NULL AND window_start IS NOT NULL
        ORDER BY id DESC LIMIT 1
        """,
        (number, micros(reading.window.start), micros(reading.window.end)),
    ).fetchone()
    if row is None:
        return None
    run, version = row
    earlier = _Earlier(run, version, payload.whole(connection, run))
    if earlier.version >= micros(reading.timestamp):
        raise ValueError(
            f"the reading of {reading.window} is not later than the one before it: "
            f"{version_text(reading.timestamp)}"
        )
    return earlier


def _missed(
    connection: Connection, earlier: _Earlier | None, sinks: Sequence[str]
) -> Iterator[str]:
    """Yield those of `sinks` for which the earlier reading was not kept."""
    if earlier is None:
        return
    for (name,) in connection.execute(
        "SELECT name FROM dropped JOIN sink ON sink.number = dropped.sink WHERE run = ?",
        (earlier.run,),
    ):
        if name in sinks:
            yield name


def _no_longer_retained(
    window: Window | None, earlier: _Earlier | None, before: Coverage | None
) -> str | None:
    if window is None or earlier or before is None:
        return None
    if not before.covered.covers(window.start, window.end):
        return None
    return (
        "the earlier reading of this window is no longer retained: "
        "the whole set was sent, without retractions"
    )


def _keep(
    connection: Connection,
    run_id: int,
    content: _Content,
    earlier: _Earlier | None,
    plan: _Plan,
) -> int:
    """Store the lines and make them pending; return how many of them are retractions."""
    retractions = list(_retractions(earlier, content, plan))
    lines = b"".join((content.lines, *retractions))
    count = content.count + len(retractions)
    payload.write(connection, run_id, lines, count)
    if count:
        sinks = [sink.number for sink in plan.sent]
        item = Item(run_id, 0, count)
        make_pending(connection, ((sink, item, len(lines)) for sink in sinks))
        change_totals(connection, sinks, count, len(lines))
    return len(retractions)


def _list_dropped(
    connection: Connection, sinks: Sequence[SinkRow], run_id: int, reading: Reading
) -> None:
    for sink in sinks:
        connection.execute(
            "INSERT INTO dropped (run, sink, metrics, at) VALUES (?, ?, ?, ?)",
            (run_id, sink.number, len(reading.metrics), micros(reading.timestamp)),
        )


def _retractions(earlier: _Earlier | None, content: _Content, plan: _Plan) -> Iterator[bytes]:
    """Yield a line that retracts each metric of the earlier reading that is not in this one.

    What was retracted before is retracted again only for a sink that may have missed it.
    """
    if earlier is None:
        return
    present = {line[_UUID] for line in content.lines.split(b"\n")}
    for line in earlier.lines.split(b"\n")[:-1]:
        if line[_UUID] not in present:
            metric = Metric.decode(line)
            if metric.value is not None or plan.again:
                yield _retracted(metric, content.version)


def _retracted(metric: Metric, timestamp: datetime) -> bytes:
    return evolve(metric, value=None, timestamp=timestamp).encode() + b"\n"
