"""One run: from a request to a reading."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import closing, nullcontext
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any, TypeVar
from uuid import uuid4

import attrs

from signals_core.clock import Clock
from signals_core.collector import Collector, Reading
from signals_core.connections import Connection, breaks_source
from signals_core.distill import distill
from signals_core.duration import format_duration
from signals_core.errors import Cancelled, NotDue
from signals_core.plugin import Request, Source
from signals_core.secret import mask
from signals_core.window import Grain, Window, iso

T = TypeVar("T")

_MOMENT = timedelta(microseconds=1)


def read(
    collector: Collector,
    source: Source,
    request: Request,
    timestamp: datetime,
    bucket: Window | None,
) -> Reading:
    """Run the query and distill its rows; the source's iterator is closed whatever happens."""
    rows: Any = source.read(request)
    with closing(rows) if hasattr(rows, "close") else nullcontext():
        return distill(
            collector,
            rows,
            timestamp=timestamp,
            window=bucket,
            check=request.check,
        )


def window_of(
    collector: Collector, connection: Connection[Source], clock: Clock, at: datetime | None
) -> Window | None:
    """Return the latest window due, or the one that holds a moment; None for a snapshot.

    Raises `NotDue` for one that is not due, and `ValueError` where there is nothing to pick.
    """
    grain, policy = collector.buckets, collector.window
    if grain is None and at is not None:
        raise ValueError(f"{collector.name} has no grain: there is no bucket to pick")
    if grain is None or policy is None:
        return None
    with connection.use() as source:
        seen = min(clock.now(), source.watermark() or datetime.max.replace(tzinfo=UTC))
    due = _latest_due(grain, seen - policy.grace)
    if at is None:
        return due
    window = grain.window(at)
    if window.end > due.end:
        raise NotDue(
            f"{collector.name}: the window {window} is not due before "
            f"{iso(window.end + policy.grace)} (its end and {format_duration(policy.grace)} of "
            "grace)"
        )
    return window


def bucket_of(collector: Collector, moment: datetime) -> Window | None:
    """Return the bucket that holds a moment; None without a grain."""
    grain = collector.buckets
    return None if grain is None else grain.window(moment)


def _latest_due(grain: Grain, until: datetime) -> Window:
    """Return the last window that ended at `until` or before."""
    return grain.window(grain.window(until).start - _MOMENT)


def request_for(collector: Collector, window: Window | None, clock: Clock) -> Request:
    """Return what the source is asked for; its time runs from now on."""
    return Request(
        collector=collector.name,
        query=collector.query,
        window=window,
        timeout=collector.timeout.total_seconds(),
        origin=f"signals {uuid4().hex[:8]} {collector.name}",
        clock=clock,
    )


def described(query: Any, window: Window | None) -> str:
    """Return a query, and the bounds it is run with, as a person reads them, masked."""
    lines = []
    for attribute in attrs.fields(type(query)) if query is not None else ():
        value = getattr(query, attribute.name)
        plain = value if isinstance(value, str) else json.dumps(value, indent=2, default=str)
        lines += [f"{attribute.alias}:", *(f"  {line}" for line in plain.strip().splitlines())]
    if window is not None:
        lines.append(window.bounds)
    return mask("\n".join(lines))


def supervised(
    work: Callable[[], T],
    request: Request,
    connection: Connection[Source],
    *,
    grace: float = 2.0,
    obey: float = 10.0,
) -> T:
    """Run `work` on an acquired connection in a thread of its own, and give the place back.

    A read that is late by `grace` seconds, or whose caller is interrupted, is cancelled at the
    source, and has `obey` seconds to end. The place is given back when the read has really ended,
    so that no source has more reads than it may.
    """
    done: Future[T] = Future()

    def run() -> None:
        # The place is given back first: who comes next finds a broken connection closed.
        try:
            outcome = work()
        except BaseException as error:  # noqa: BLE001 - it is raised where the caller waits
            connection.release(broken=breaks_source(error))
            done.set_exception(error)
        else:
            connection.release()
            done.set_result(outcome)

    thread = Thread(target=run, name=f"signals read {request.collector}", daemon=True)
    try:
        thread.start()
    except BaseException:
        connection.release()
        raise
    try:
        return _outcome(done, request, grace, obey)
    except (KeyboardInterrupt, SystemExit):
        request.cancel()
        _ends(done, obey)
        raise
    finally:
        if not done.done():
            connection.abandon(thread)


def _outcome(done: Future[T], request: Request, grace: float, obey: float) -> T:
    if _ends(done, request.timeout + grace):
        return done.result()
    request.cancel("the read took longer than its timeout, and was cancelled")
    if _ends(done, obey):
        return done.result()
    raise Cancelled("the read took longer than its timeout and does not obey a cancel")


def _ends(done: Future[T], seconds: float) -> bool:
    return bool(wait([done], seconds).done)
