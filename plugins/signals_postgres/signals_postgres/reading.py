"""A reading, from taking a connection to giving it back: begun, abortable, ended, explained."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NoReturn

import psycopg
from attrs import define, field, frozen

from signals_core import Request, Secret
from signals_postgres import session
from signals_postgres.address import address_of
from signals_postgres.failures import is_cancelled, translated, unreachable
from signals_postgres.parameters import Statement
from signals_postgres.pool import Pool

_TICK = 0.005  # the server counts in milliseconds, from a moment later than we do


@frozen(eq=False)
class Link:
    """A connection and the name of what it leads to."""

    connection: psycopg.Connection[Any]
    target: str

    def close(self) -> None:
        """Close the connection, if it is not closed already."""
        self.connection.close()


def connect(uri: Secret, timeout: timedelta) -> Link:
    """Connect as the URI says now. Raises `Unavailable`, or `ValueError` for a URI that is none."""
    address = address_of(uri.reveal(), max(1, math.ceil(timeout.total_seconds())))
    try:
        # Behind a pooler the next transaction may meet another server process: nothing may be
        # prepared by name, and a transaction is begun and ended by us alone.
        connection = psycopg.connect(**address.parameters, autocommit=True, prepare_threshold=None)
    except psycopg.Error as error:
        raise unreachable(address.target, error) from error
    return Link(connection, address.target)


@contextmanager
def reading(
    pool: Pool,
    request: Request,
    *,
    timezone: str,
    seconds: Callable[[], float],
    statement: Statement,
) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection in a read-only transaction whose statements take at most `seconds()`.

    After an error or a cancel the connection is closed, otherwise it is used again.
    """
    link, fresh = pool.acquire(request.check)
    transaction = _Transaction(pool, link, request, timezone, seconds(), statement)
    try:
        transaction.begin(fresh=fresh)
        with session.abortable(transaction.link.connection, request) as abort:
            transaction.abort = abort
            yield transaction.link.connection
        transaction.end()
    except psycopg.Error as error:
        transaction.explain(error)
    finally:
        pool.release(transaction.link, reusable=transaction.reusable)


@define(eq=False)
class _Transaction:
    pool: Pool
    link: Link
    request: Request
    timezone: str
    seconds: float
    statement: Statement
    abort: session.Abort | None = None
    reusable: bool = False
    began: float = field(factory=time.monotonic)

    def begin(self, *, fresh: bool) -> None:
        try:
            self._begin()
        except psycopg.OperationalError:
            # The server may have restarted since the connection was last used.
            if fresh or not self.link.connection.closed:
                raise
            self.link = self.pool.renew(self.link)
            self._begin()

    def _begin(self) -> None:
        session.begin(
            self.link.connection,
            seconds=self.seconds,
            origin=self.request.origin,
            timezone=self.timezone,
        )

    def end(self) -> None:
        if self.abort is not None and self.abort.called:
            return
        try:
            session.end(self.link.connection)
        except psycopg.Error:
            return  # the rows are read: only the connection is lost
        self.reusable = True

    def explain(self, error: psycopg.Error) -> NoReturn:
        if self.abort is not None and self.abort.called:
            self.request.check()
        if is_cancelled(error) and time.monotonic() - self.began > self.seconds - _TICK:
            raise TimeoutError(
                f"the query was ended by the server after {round(self.seconds, 2):g} s (timeout)"
            ) from error
        raise translated(
            error,
            target=self.link.target,
            lost=self.link.connection.closed,
            statement=self.statement,
        ) from error
