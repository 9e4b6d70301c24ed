"""The connection: one client of the driver, and what is asked of the server through it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from difflib import get_close_matches
from math import inf
from typing import Any, TypeVar

import pymongo
from attrs import define, field
from bson import Timestamp, decode_all
from bson.errors import BSONError
from pymongo import MongoClient, ReadPreference
from pymongo.client_session import ClientSession
from pymongo.errors import (
    ConfigurationError,
    ExecutionTimeout,
    InvalidURI,
    NetworkTimeout,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.read_concern import ReadConcern

from signals_core import Cancelled, Request, Row
from signals_mongo.bson_values import ROWS, flat
from signals_mongo.failures import failure, hosts_in, malformed_uri

_BATCH_ROWS = 5_000  # what one answer holds: past it a larger one is no faster
_LEAST = 0.001  # seconds: zero would mean no limit
_LITTLE = 0.1  # seconds: with less left, a silent network is a query that took too long
_SERVER_FIRST = 0.5  # seconds that the server has to say by itself that a query took too long
_KILL_SECONDS = 1.0
_KILL_TRIES = 10

_T = TypeVar("_T")
_Document = dict[str, Any]


class _Pin(threading.local):
    """A server selector of the driver: the one address that this thread wants, else any."""

    address: tuple[str, int | None] | None = None

    def __call__(self, servers: Sequence[Any]) -> Sequence[Any]:
        if self.address is None:
            return servers
        return [server for server in servers if server.address == self.address]


@define(eq=False)
class Link:
    """A client, from `connect` to `close`; used by several threads."""

    _client: MongoClient[_Document]
    _database: str
    _hosts: str
    _patience: float
    _pin: _Pin
    _seen: Timestamp | None = field(init=False, default=None)
    _promising: threading.Lock = field(init=False, factory=threading.Lock)

    @classmethod
    def connect(cls, uri: str, database: str, *, readers: int, patience: float) -> Link:
        """Connect for as many `readers`, looking for a server for at most `patience` seconds."""
        hosts, pin = hosts_in(uri), _Pin()
        milliseconds = max(1, round(patience * 1000))
        try:
            client: MongoClient[_Document] = MongoClient(
                uri,
                tz_aware=True,
                tzinfo=UTC,
                minPoolSize=0,
                # One more, to ask for the watermark and to cancel while all readers are busy.
                maxPoolSize=readers + 1,
                serverSelectionTimeoutMS=milliseconds,
                connectTimeoutMS=milliseconds,
                server_selector=pin,
            )
        except (InvalidURI, ValueError):
            # Not chained: the driver's text may quote what it took for the port.
            raise malformed_uri() from None
        except ConfigurationError as error:
            raise failure(error, hosts) from error
        link = cls(client, database, hosts, patience, pin)
        try:
            link._ask("admin", {"ping": 1})
        except BaseException:
            link.close()
            raise
        return link

    def close(self) -> None:
        self._client.close()

    def explain(self, collection: str, stages: list[_Document]) -> None:
        """Have the pipeline planned. Raises `ValueError` where there is no such collection."""
        names = self._collections()
        if collection not in names:
            nearest = get_close_matches(collection, names, n=1)
            raise ValueError(
                f"the database {self._database!r} has no collection {collection!r}"
                + (f" (nearest: {nearest[0]})" if nearest else "")
            )
        command = {"aggregate": collection, "pipeline": stages, "cursor": {}}
        self._ask(self._database, {"explain": command, "verbosity": "queryPlanner"})

    def watermark(self) -> datetime:
        """Return the instant up to which reads see everything."""
        hello = self._ask("admin", {"hello": 1})
        self._promise(hello.get("operationTime"))
        return watermark_in(hello)

    def _promise(self, reached: Timestamp | None) -> None:
        """Have reads wait until their server, whichever of several it is, has got this far."""
        with self._promising:
            if reached is not None and (self._seen is None or reached > self._seen):
                self._seen = reached

    def rows(self, request: Request, collection: str, stages: list[_Document]) -> Iterator[Row]:
        """Run the pipeline and yield its rows, one batch in memory at a time."""
        # The driver would look for a server until the read is late; this says so much earlier.
        self._ask("admin", {"ping": 1}, request.timeout)
        with self._client.start_session(causal_consistency=True) as session:
            if self._seen is not None:
                session.advance_operation_time(self._seen)
            read = _Read(self, request, session)
            with request.on_cancel(read.abort):
                try:
                    yield from read.rows(collection, stages)
                finally:
                    read.end()

    def aggregate(
        self, collection: str, stages: list[_Document], session: ClientSession, comment: str
    ) -> Any:
        target = self._client[self._database].get_collection(
            collection, read_concern=ReadConcern("majority")
        )
        return target.aggregate_raw_batches(
            stages, session=session, comment=comment, allowDiskUse=False, batchSize=_BATCH_ROWS
        )

    def kill(self, session: ClientSession) -> None:
        """End whatever runs in `session`, on whichever server it runs."""
        for address in self._client.nodes:
            self._pin.address = address
            try:
                # A server that does not answer ends the query by its time limit.
                with suppress(PyMongoError), pymongo.timeout(_KILL_SECONDS):
                    self._client.admin.command(
                        "killSessions", [session.session_id], read_preference=ReadPreference.NEAREST
                    )
            finally:
                self._pin.address = None

    def failure(self, error: PyMongoError) -> Exception:
        return failure(error, self._hosts)

    def overtime(self, seconds: float) -> TimeoutError:
        return TimeoutError(
            f"mongodb at {self._hosts}: the query was ended, "
            f"for it took longer than its timeout of {round(seconds, 1):g} s"
        )

    def _collections(self) -> list[str]:
        listing = {"listCollections": 1, "nameOnly": True, "authorizedCollections": True}
        answer = self._ask(self._database, {**listing, "cursor": {"batchSize": 100_000}})
        return [entry["name"] for entry in answer["cursor"]["firstBatch"]]

    def _ask(self, database: str, command: _Document, limit: float = inf) -> _Document:
        try:
            with pymongo.timeout(max(min(self._patience, limit), _LEAST)):
                return self._client[database].command(
                    command,
                    read_preference=self._client.read_preference,
                    codec_options=self._client.codec_options,
                )
        except PyMongoError as error:
            raise self.failure(error) from error


def watermark_in(hello: Mapping[str, Any]) -> datetime:
    """Return the watermark that an answer to `hello` tells.

    The date of the last write is the whole second of its logical time, rounded down, so that all
    writes of earlier seconds are held by a majority. Logical time may run ahead of a clock that
    was set back; what is written next carries the clock's. A server without replication, and a
    router, which has the shards waited for, has its clock only.
    """
    clock: datetime = hello["localTime"]
    last = hello.get("lastWrite")
    if last is None:
        return clock
    nothing_under_way = last["opTime"] == last.get("majorityOpTime")
    if hello.get("isWritablePrimary") and nothing_under_way:
        return clock
    written: datetime = last.get("majorityWriteDate", last["lastWriteDate"])
    return min(clock, written)


@define(eq=False)
class _Read:
    """One aggregation, in a session of its own by which another thread can end it."""

    _link: Link
    _request: Request
    _session: ClientSession
    _seconds: float = field(init=False)
    _idle: threading.Event = field(init=False, factory=threading.Event)
    _ending: threading.Lock = field(init=False, factory=threading.Lock)
    _ended: bool = field(init=False, default=False)

    @_seconds.default
    def _all_that_is_left(self) -> float:
        return self._request.timeout

    def rows(self, collection: str, stages: list[_Document]) -> Iterator[Row]:
        # Only opens the cursor and, by the driver's timeout, sets maxTimeMS for all its life.
        cursor = self._call(
            lambda: self._link.aggregate(collection, stages, self._session, self._request.origin)
        )
        try:
            # A batch may be empty and yet not the last: a router waits for its slowest shard.
            while (batch := self._call(lambda: next(cursor, None), _SERVER_FIRST)) is not None:
                yield from _rows_in(batch)
        finally:
            # What cannot be told to the server any more, it finds out by itself.
            with suppress(PyMongoError), pymongo.timeout(_KILL_SECONDS):
                cursor.close()

    def abort(self) -> None:
        """End the read at the server, from another thread; again if it had only just begun."""
        for _ in range(_KILL_TRIES):
            with self._ending:
                if self._ended:
                    return
                self._link.kill(self._session)
            if self._idle.wait(_KILL_SECONDS / _KILL_TRIES):
                return

    def end(self) -> None:
        # From here on the driver may give the session to another read, which must not be killed.
        with self._ending:
            self._ended = True

    def _call(self, call: Callable[[], _T], extra: float = 0.0) -> _T:
        self._idle.clear()
        try:
            self._request.check()
            with pymongo.timeout(max(self._request.timeout, _LEAST) + extra):
                return call()
        except PyMongoError as error:
            raise self._failure(error) from error
        except BSONError as error:
            raise ValueError(f"agg cannot be sent: {error}") from error
        except KeyboardInterrupt:
            self._link.kill(self._session)
            raise
        finally:
            self._idle.set()

    def _failure(self, error: PyMongoError) -> Exception:
        if isinstance(error, ServerSelectionTimeoutError):
            return self._link.failure(error)
        if isinstance(error, NetworkTimeout) and self._request.timeout < _LITTLE:
            self._link.kill(self._session)
            return self._link.overtime(self._seconds)
        if isinstance(error, ExecutionTimeout):
            return self._link.overtime(self._seconds)
        try:
            self._request.check()
        except Cancelled as cancelled:
            return cancelled
        return self._link.failure(error)


def _rows_in(batch: bytes) -> list[Row]:
    try:
        documents = decode_all(batch, ROWS)
    except BSONError as error:
        raise ValueError(f"a row cannot be read: {str(error).partition(' (')[0]}") from error
    return [flat(each) if type(each.get("_id")) is dict else each for each in documents]
