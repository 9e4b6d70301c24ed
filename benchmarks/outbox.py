"""From the store's outbox to an HTTP receiver in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Condition, Event

import urllib3

from benchmarks.http import receiver
from benchmarks.measure import Figure, Goal, in_turn
from signals_core import Batch
from signals_core.clock import SystemClock
from signals_core.collector import Reading
from signals_core.connections import Connection
from signals_core.courier import Courier
from signals_core.metric import Envelope, Identity, Metrics, netstring, tags_text, uuid_text
from signals_core.store import Run, Store
from signals_vector.sink import Http

METRICS = 50_000
READING = 200
RUNS = 7
BACKLOG = 1_000_000
RESTARTS = 5
PROJECT = """\
version: 1
sinks: {lake: {type: file, config: {path: lake.jsonl}}}
---
name: bench.restart
metric: {name: bench.restart, type: GAUGE}
schedule: {cron: "0 0 1 1 *"}
source: {type: sqlite, config: {path: shop.db, sql: "SELECT 1 AS value"}}
sinks: [lake]
"""


class Resting(SystemClock):
    """Tells when a courier waits for news, having delivered all that is pending."""

    def __init__(self) -> None:
        self.rests = Event()

    def wait(self, condition: Condition, seconds: float | None) -> bool:
        """Wait on `condition`, which the caller holds."""
        if seconds is None:
            self.rests.set()
        return super().wait(condition, seconds)


def fill(store: Store, sinks: list[str], metrics: int = METRICS) -> None:
    """Commit readings of 200 metrics of many collectors, pending for each of the sinks."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(metrics // READING):
        collector = f"bench.outbox.{number}"
        timestamp = start + timedelta(seconds=number)
        envelope = Envelope.build(
            name="bench.outbox", type="COUNT", collector=collector, timestamp=timestamp
        )
        identity = Identity(collector, "bench.outbox", timestamp, timestamp)
        reading = Reading(
            collector, timestamp, None, Metrics([Batch(lines(envelope, identity))]), READING
        )
        run = Run(
            collector=collector, name=collector, origin="bench", started=timestamp, outcome="read"
        )
        store.commit(reading, run=run, sinks=sinks)


def lines(envelope: Envelope, identity: Identity) -> Iterator[bytes]:
    """Yield the metrics of one reading."""
    for number in range(READING):
        customer = f"customer-{number}"
        uuid = uuid_text(identity.hash(netstring("customer") + netstring(customer)))
        yield envelope.line(uuid, str(number), tags_text({"customer": customer})).encode()


def bodies(store: Store, sink: str, limits: Http) -> list[bytes]:
    """Return the requests that a courier makes of what is pending."""
    made, after = [], None
    while packed := store.pending(
        sink, metrics=limits.batch_metrics, bytes=limits.batch_bytes, after=after
    ):
        made.append(packed.batch.json_array())
        after = packed.end
    return made


@contextmanager
def filled(sinks: list[str]) -> Iterator[Store]:
    """Open a store on disk in which the same is pending for each sink."""
    with TemporaryDirectory() as folder, Store.open(Path(folder)) as store:
        fill(store, sinks)
        yield store


def delivered(store: Store, sink: str, http: Http) -> None:
    """Deliver all that is pending for a sink."""
    clock = Resting()
    courier = Courier([sink], Connection(http, 1), store, clock)
    courier.start()
    clock.rests.wait()
    courier.stop(10)


def outbox() -> Figure:
    """Everything from the store to the acknowledgement, against urllib3 with the same bytes."""
    sinks = [f"lake-{number}" for number in range(RUNS + 1)]
    numbers = count()
    with receiver() as uri, filled(sinks) as store:
        http = Http(uri)
        requests = bodies(store, sinks[0], http)
        pool = urllib3.PoolManager(maxsize=1)
        pairs = in_turn(
            lambda: delivered(store, sinks[next(numbers)], http),
            lambda: [pool.request("POST", uri, body=body).data for body in requests],
            RUNS,
        )
    return Figure(
        f"outbox to HTTP, {METRICS:,} metrics",
        "urllib3, same bytes",
        Goal(1.2),
        "s",
        pairs,
        "A backlog is delivered as fast as its receiver takes it, each batch read from the disk "
        "and acknowledged there.",
    )


def restart() -> Figure:
    """The first delivery of a killed `signals run`, with a million metrics or with hardly any."""
    with TemporaryDirectory() as backlog, TemporaryDirectory() as empty:
        for folder, metrics in ((backlog, BACKLOG), (empty, READING)):
            Path(folder, "signals.yaml").write_text(PROJECT)
            # As a killed process leaves it: with a log beside the file.
            crashed = multiprocessing.get_context("spawn").Process(
                target=fill_and_crash, args=(folder, metrics)
            )
            crashed.start()
            crashed.join()
        pairs = []
        for _ in range(RESTARTS + 1):
            with Store.open(Path(empty, ".signals")) as store:
                fill(store, ["lake"], READING)
            pairs.append((first_delivery(Path(backlog)), first_delivery(Path(empty))))
    return Figure(
        f"restart with {BACKLOG:,} metrics pending",
        f"restart with {READING}",
        Goal(0.2, "s"),
        "s",
        pairs[1:],
        "A process that was killed with a large backlog goes on with it at once.",
    )


def fill_and_crash(folder: str, metrics: int) -> None:
    """Fill the outbox of a project, and end as if killed."""
    store = Store.open(Path(folder, ".signals"))
    fill(store, ["lake"], metrics)
    os.kill(os.getpid(), signal.SIGKILL)


def first_delivery(folder: Path) -> float:
    """Start `signals run`, kill it once its sink has something, and return the seconds it took."""
    received = folder / "lake.jsonl"
    received.unlink(missing_ok=True)
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", "from signals_core.cli import main; main()", "run", str(folder)],
        stderr=subprocess.DEVNULL,
    ) as process:
        while not (received.exists() and received.stat().st_size):
            time.sleep(0.001)
        took = time.perf_counter() - start
        process.kill()
    return took
