"""Plugins that each break a promise, and but for that are sound; `BREAKS` says which tests tell."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import attrs
from attrs import define, field
from helpdesk import HOUR, Hourly, Ledger, Shelf, SlowShelf

from signals_core import Batch, Rejected, Sink, Source, Unavailable

BREAKS: dict[str, set[str]] = {}
SOURCES: list[type[Source]] = []
SINKS: list[type[Sink]] = []
SCHEDULES: list[type[Hourly]] = []

RECEIVING = "writes big_batch values newest_stays durable killed rejects retry_after"


def breaks(promises):
    """Register a class with the tests that catch it."""

    def register(cls):
        kinds = ((Source, SOURCES), (Sink, SINKS), (Hourly, SCHEDULES))
        next(kept for kind, kept in kinds if issubclass(cls, kind)).append(cls)
        BREAKS[cls.__name__] = set(promises.split())
        return cls

    return register


# --- sources ------------------------------------------------------------------------------------


@breaks("configuration")
@define
class ChangesItsFields(Ledger):
    def __attrs_post_init__(self):
        self.note += "!"


@breaks("configuration unknown_key")
class IsNotDecorated(Ledger):
    """Has no fields of its own: `more` is none."""

    more: str = ""


@breaks("configuration")
@define
class HasItsOwnInit(Ledger):
    """Takes `max_connections` and `note` from nobody."""

    def __init__(self, folder, token):
        self.__attrs_init__(folder=folder, token=token)


@breaks("built_without_io")
@define
class ConnectsWhenBuilt(Ledger):
    def __attrs_post_init__(self):
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), 1).close()


@breaks("built_without_io")
@define
class StartsAThreadWhenBuilt(Ledger):
    def __attrs_post_init__(self):
        threading.Thread(target=time.sleep, args=[0.5], daemon=True).start()


@breaks("secrets")
@define
class KeepsItsSecretInText(Ledger):
    password: str = "hunter2"


@breaks("secrets")
@define
class TellsItsSecretInErrors(Ledger):
    def open(self):
        try:
            super().open()
        except Unavailable as error:
            raise Unavailable(f"{error}, with the token {self.token.reveal()}") from error


@breaks("secrets")
@define
class LogsItsSecret(Ledger):
    def open(self):
        logging.getLogger("helpdesk").debug("opening with %s", self.token.reveal())
        super().open()


@breaks("secrets")
@define
class PrintsItsSecret(Ledger):
    def read(self, request):
        print("asking with", self.token.reveal())
        yield from super().read(request)


@breaks("open_and_close")
@define
class ClosesOnlyWhatIsOpen(Ledger):
    def close(self):
        if not self._is_open:
            raise RuntimeError("not open")
        self._is_open = False


@breaks("open_and_close reopen")
@define
class ClosesOnItsOwnThreadOnly(Ledger):
    _owner: object = field(init=False, default=None, eq=False)

    def open(self):
        super().open()
        self._owner = threading.current_thread()

    def close(self):
        if self._is_open and self._owner is not threading.current_thread():
            raise RuntimeError("opened in another thread")
        super().close()


@breaks("reopen recovers")
@define
class OpensOnce(Ledger):
    _was_open: bool = field(init=False, default=False, eq=False)

    def open(self):
        if self._was_open:
            raise RuntimeError("a pool cannot be started twice")
        super().open()
        self._was_open = True


@breaks("unavailable recovers")
@define
class RaisesWhatTheDriverRaises(Ledger):
    def _text(self):
        return (self.folder / "rows.jsonl").read_text()


@breaks("reads")
@define
class NumbersItsColumns(Ledger):
    def check(self, query):
        super().check(query)

    def _counts(self, request):
        for row in super()._counts(request):
            yield dict(enumerate(row.values()))


@breaks("streams")
@define
class BuffersAllRows(Ledger):
    def read(self, request):
        yield from list(super().read(request))


@breaks("given_up")
@define
class KeepsWhatIsGivenUp(Ledger):
    _taken: int = field(init=False, default=0, eq=False)

    def _endless(self, request):
        if self._taken == self.max_connections:
            raise RuntimeError("no connection is free")
        self._taken += 1
        yield from super()._endless(request)
        self._taken -= 1


@breaks("cancel")
@define
class IgnoresCancel(Ledger):
    def _slow(self, request):
        while request.timeout:
            time.sleep(0.01)
            if request.timeout > 60 and not _patient(request):
                return
        raise TimeoutError("too slow")
        yield {}


def _patient(request):
    """End some time after the kit has given up, so that no thread is left."""
    return request.timeout > 590


@breaks("cancel_between_rows")
@define
class IgnoresCancelBetweenRows(Ledger):
    def _endless(self, request):
        end = time.monotonic() + 5
        while time.monotonic() < end:
            time.sleep(0.01)
            yield {"value": 1}


@breaks("timeout")
@define
class IgnoresTimeout(Ledger):
    def _slow(self, request):
        cancelled = threading.Event()
        with request.on_cancel(cancelled.set):
            cancelled.wait(60)
        request.check()
        yield {"value": 1}


@breaks("snapshot")
@define
class ReadsLineByLine(Ledger):
    def _all(self, request):
        for number in range(len(self._text().splitlines())):
            row = list(self._rows())[number]
            yield {"kind": row["kind"], "value": row["value"]}


@breaks("independent threads")
@define
class SharesItsCursor(Ledger):
    _cursor: object = field(init=False, default=None, eq=False)

    def _counts(self, request):
        self._cursor = iter(list(super()._counts(request)))
        while (row := next(self._cursor, None)) is not None:
            yield row


@breaks("threads")
@define
class ReadsOnOneThreadOnly(Ledger):
    _thread: int = field(init=False, default=0, eq=False)
    _reading: int = field(init=False, default=0, eq=False)

    def _counts(self, request):
        if self._reading and self._thread != threading.get_ident():
            raise RuntimeError("connection is used by another thread")
        self._thread, self._reading = threading.get_ident(), self._reading + 1
        try:
            yield from super()._counts(request)
        finally:
            self._reading -= 1


@breaks("watermark")
@define
class IsAheadOfItsTime(Ledger):
    def watermark(self):
        return datetime.now(UTC) + timedelta(days=1)


@breaks("watermark")
@define
class HasNaiveWatermarks(Ledger):
    def watermark(self):
        return datetime.now()


@breaks("watermark")
@define
class GoesBackInTime(Ledger):
    _marks: int = field(init=False, default=0, eq=False)

    def watermark(self):
        self._marks += 1
        return datetime.now(UTC) - timedelta(minutes=self._marks)


@breaks("parameters")
@define
class ClaimsItsWindow(Ledger):
    def _is_inside(self, request, row):
        return True


@breaks("parameters")
@define
class HidesItsWindow(Ledger):
    def parameters(self, query):
        super().parameters(query)
        return set()


@breaks("pure_parameters")
@define
class AsksForItsParameters(Ledger):
    def parameters(self, query):
        (self.folder / "rows.jsonl").read_text()
        return super().parameters(query)


@breaks("wrong_query")
@define
class TakesAnyQuery(Ledger):
    def parameters(self, query):
        return {"window_start", "window_end"} if query.what == "counts" else set()


@breaks("check")
@define
class GuessesItsColumns(Ledger):
    def check(self, query):
        super().check(query)
        return ["kind", "count"]


@breaks("check_reads_nothing")
@define
class ReadsToCheck(Ledger):
    def check(self, query):
        if query.what == "slow":
            time.sleep(3)
        return super().check(query)


@breaks("failing_query")
@define
class ChecksNothing(Ledger):
    def check(self, query):
        return None


# --- sinks --------------------------------------------------------------------------------------


@breaks(RECEIVING)
@define
class AcknowledgesBeforeWriting(Shelf):
    """Hands the batch to a thread and returns."""

    def _append(self, batch):
        threading.Timer(0.3, super()._append, [batch]).start()


@breaks("durable")
@define
class WritesWhenTheProcessEnds(Shelf):
    """Keeps a copy of its own, which the receiver gets when the process ends in peace."""

    def _append(self, batch):
        if threading.current_thread() is threading.main_thread():
            import atexit

            atexit.register(super()._append, batch)
        else:
            super()._append(batch)


@breaks("order")
@define
class Reorders(Shelf):
    def _append(self, batch):
        super()._append(Batch(batch.encoded[::-1]))


@breaks("rejects")
@define
class SwallowsARejection(Shelf):
    def write(self, batch):
        try:
            super().write(batch)
        except Rejected:
            return


@breaks("rejects")
@define
class BlamesTheFirst(Shelf):
    def write(self, batch):
        try:
            super().write(batch)
        except Rejected as error:
            raise Rejected(error.reason, [0]) from None


@breaks("rejects")
@define
class TakesPoison(Shelf):
    """Says that it refuses, and has taken the rest and the poison."""

    def write(self, batch):
        try:
            super().write(batch)
        except Rejected:
            self._append(batch)
            raise


@breaks("values")
@define
class MakesFloats(Shelf):
    def _append(self, batch):
        values = [m.value if m.value is None else float(m.value) for m in batch]
        changed = [attrs.evolve(m, value=v) for m, v in zip(batch, values, strict=True)]
        super()._append(Batch(m.encode() for m in changed))


@breaks("values newest_stays")
@define
class DropsRetractions(Shelf):
    def _append(self, batch):
        kept = [m.encode() for m in batch if m.value is not None]
        super()._append(Batch(kept))


@breaks("newest_stays")
@define
class KeepsTheFirst(Shelf):
    def _append(self, batch):
        known = self._file.read_bytes().rpartition(b"\n")[0]
        new = [line for line in batch.encoded if line[9:45] not in known]
        super()._append(Batch(new))


@breaks("big_batch")
@define
class TakesSmallBatchesOnly(Shelf):
    def write(self, batch):
        if len(batch) > 500:
            raise ValueError("413: too large")
        super().write(batch)


@breaks("big_batch")
@define
class WritesSlowly(Shelf):
    _is_writing: bool = field(init=False, default=False, eq=False)

    def write(self, batch):
        self._is_writing = True
        try:
            time.sleep(6 if len(batch) > 500 else 0)
            super().write(batch)
        finally:
            self._is_writing = False

    def close(self):
        if self._is_writing:
            os._exit(9)  # as a driver in C may, of which a connection is taken away
        super().close()


@breaks("killed")
@define
class LeavesTornLines(SlowShelf):
    def _cut(self, descriptor):
        pass


@breaks("retry_after")
@define
class NeverWaits(Shelf):
    def write(self, batch):
        if (self.folder / "busy").exists():
            raise Unavailable("503")
        super().write(batch)


@breaks("check_writes_nothing")
@define
class ChecksByWriting(Shelf):
    def check(self):
        with self._file.open("ab") as file:
            file.write(self._file.read_bytes() or b'{"uuid":"00000000-0000-0000-0000-000000000000",'
            b'"name":"test","value":1,"type":"COUNT","tags":{},"timestamp":"2026-01-01T00:00:00Z",'
            b'"grain_datetime":"2026-01-01T00:00:00Z","collector":"test"}\n')  # fmt: skip


@breaks("unavailable recovers")
@define
class ForgetsOutages(Shelf):
    def open(self):
        self._is_open = True

    def write(self, batch):
        if self.folder.is_dir():
            super().write(batch)


@breaks("secrets")
@define
class LogsWhatItWritesWith(Shelf):
    def write(self, batch):
        logging.getLogger("helpdesk").debug("writing with %s", self.token.reveal())
        super().write(batch)


@breaks("secrets")
@define
class ShowsItsSecret(Shelf):
    def __repr__(self):
        return f"ShowsItsSecret({self.token.reveal()})"


# --- schedules ----------------------------------------------------------------------------------


@breaks("later daylight_saving")
@define
class StandsStill(Hourly):
    def next_after(self, moment):
        return super().next_after(moment - timedelta(microseconds=1))


@breaks("no_tick_skipped daylight_saving")
@define
class AddsADay(Hourly):
    def next_after(self, moment):
        return moment + timedelta(days=1)


@breaks("aware")
@define
class IsNaive(Hourly):
    def next_after(self, moment):
        return super().next_after(moment).replace(tzinfo=None)


@breaks("aware")
@define
class AnswersInUtc(Hourly):
    def next_after(self, moment):
        return super().next_after(moment).astimezone(UTC)


@breaks("pure no_tick_skipped daylight_saving")
@define
class Remembers(Hourly):
    _asked: int = field(init=False, default=0, eq=False)

    def next_after(self, moment):
        self._asked += 1
        return super().next_after(moment) + self._asked * HOUR


@breaks("no_tick_skipped daylight_saving")
@define
class Drifts(Hourly):
    def next_after(self, moment):
        return (moment.astimezone(UTC) + HOUR).astimezone(moment.tzinfo)


@breaks("no_tick_skipped monotone daylight_saving")
@define
class RunsBackwards(Hourly):
    def next_after(self, moment):
        tick = super().next_after(moment).astimezone(UTC)
        return (tick + (tick - moment.astimezone(UTC))).astimezone(moment.tzinfo)


@breaks("daylight_saving")
@define
class AddsOnTheWall(Hourly):
    def next_after(self, moment):
        return moment.replace(minute=0, second=0, microsecond=0) + HOUR
