"""One run: from a request to a reading."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import closing, nullcontext
from datetime import datetime
from threading import Thread
from typing import Any, TypeVar

from signals_core.collector import Collector, Reading
from signals_core.connections import Connection, breaks_source
from signals_core.distill import distill
from signals_core.errors import Cancelled
from signals_core.plugin import Request, Source
from signals_core.window import Window

T = TypeVar("T")

#: How long past its timeout a read may need to end by itself, and then to obey a cancel.
_GRACE_SECONDS = 2.0
_OBEY_SECONDS = 10.0


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


def supervised(work: Callable[[], T], request: Request, connection: Connection[Source]) -> T:
    """Run `work` on an acquired connection in a thread of its own, and give the place back.

    A read that is late, or whose caller is interrupted, is cancelled at the source. The place is
    given back when the read has really ended, so that no source has more reads than it may.
    """
    done: Future[T] = Future()

    def run() -> None:
        broken = False
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the caller waits
            broken = breaks_source(error)
            done.set_exception(error)
        finally:
            connection.release(broken=broken)

    Thread(target=run, name=f"signals read {request.collector}", daemon=True).start()
    try:
        return _outcome(done, request)
    except (KeyboardInterrupt, SystemExit):
        request.cancel()
        _settle(done)
        raise


def _outcome(done: Future[T], request: Request) -> T:
    try:
        return done.result(request.timeout + _GRACE_SECONDS)
    except NotYet:
        if done.done():
            raise
    request.cancel("the read took longer than its timeout, and was cancelled")
    try:
        return done.result(_OBEY_SECONDS)
    except NotYet:
        if done.done():
            raise
        raise Cancelled(
            "the read took longer than its timeout and does not obey a cancel"
        ) from None


def _settle(done: Future[T]) -> None:
    try:
        done.exception(_OBEY_SECONDS)
    except NotYet:
        return
