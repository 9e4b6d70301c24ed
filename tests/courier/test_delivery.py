"""Bringing what is pending to sinks: packing, order, outages, pauses, stopping."""

from __future__ import annotations

import logging
import resource
import threading
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
from attrs import define

from parts.outgoing import Outgoing, Told, refuse_all, take
from signals_core import RetryAfter, Secret, Unavailable
from signals_core.clock import SystemClock
from signals_core.connections import Connection
from signals_core.courier import Courier
from signals_core.parcel import Outboxes
from signals_core.store import Store

HOUR = 3600


@define(eq=False)
class Closed(Told):
    """Cannot be opened before `is_there`."""

    is_there: bool = False

    def open(self):
        super().open()
        if not self.is_there:
            raise ConnectionRefusedError("nobody listens")


def unavailable(_batch):
    raise Unavailable("nobody listens")


def test_batches_across_collectors(outgoing: Outgoing) -> None:
    """Readings of several collectors go out in one batch, as many metrics as the sink takes."""
    sink = Told(batch_metrics=10)
    for number in range(9):
        outgoing.read(range(3 * number, 3 * number + 3), collector=f"core.{number}")
    outgoing.deliver(lake=sink)
    assert [len(batch) for batch in sink.tried] == [10, 10, 7]
    assert sink.values == list(range(27))


def test_no_batch_is_larger_than_the_sink_takes(outgoing: Outgoing) -> None:
    """`batch_bytes` bounds a batch, and a single larger metric goes alone."""
    bounded, tiny = Told(batch_bytes=2000), Told(batch_bytes=1)
    outgoing.read(range(100), sinks=["bounded", "tiny"])
    outgoing.deliver(bounded=bounded, tiny=tiny)
    assert max(len(batch.json_lines()) for batch in bounded.tried) <= 2000
    assert len(bounded.tried) < 30
    assert [len(batch) for batch in tiny.tried] == [1] * 100
    assert bounded.values == tiny.values == list(range(100))


def test_sinks_that_share_a_connection(outgoing: Outgoing) -> None:
    """Equal sinks of many collectors share a courier and their batches; each keeps its order."""
    sink = Told(batch_metrics=50)
    connection = Connection(sink, 1)
    names = [f"core.{number}/lake" for number in range(10)]
    for number in range(100):
        outgoing.read([number, 100 + number], sinks=[names[number % 10]])
    outgoing.couriers.add(dict.fromkeys(names, connection))
    outgoing.couriers.start()
    outgoing.clock.settle()
    assert [len(batch) for batch in sink.tried] == [50] * 4
    for digit in range(10):
        own = [value for value in sink.values if value % 10 == digit]
        assert own == [value for n in range(digit, 100, 10) for value in (n, 100 + n)]
    outgoing.read([1000], sinks=[names[3]])
    outgoing.clock.settle()
    assert sink.values[-1] == 1000


def test_a_large_outbox_beside_a_small_one(outgoing: Outgoing) -> None:
    """Outboxes that share a connection are emptied in turn."""
    sink = Told()
    connection = Connection(sink, 1)
    outgoing.read(range(5000), sinks=["first"])
    outgoing.read([5000], sinks=["second"])
    outgoing.couriers.add({"first": connection, "second": connection})
    outgoing.couriers.start()
    outgoing.clock.settle()
    assert sink.values.index(5000) <= 2000
    assert len(sink.values) == 5001


def test_batch_bytes_over_several_outboxes(outgoing: Outgoing) -> None:
    """A metric that has no room beside another sink's waits for the next batch."""
    sink = Told(batch_bytes=450)
    connection = Connection(sink, 1)
    for number, name in enumerate(["first", "second", "third"]):
        outgoing.read([number], sinks=[name])
    outgoing.couriers.add(dict.fromkeys(["first", "second", "third"], connection))
    outgoing.couriers.start()
    outgoing.clock.settle()
    assert len(sink.tried[0].json_lines()) > 225
    assert [len(batch) for batch in sink.tried] == [1, 1, 1]


class Counting(Store):
    """A store that counts how often it is asked what is pending."""

    asked = 0

    def pending(self, sink, **arguments):
        self.asked += 1
        return super().pending(sink, **arguments)


def test_empty_outboxes_are_left_alone(tmp_path: Path) -> None:
    """Of many outboxes that share a connection only those with something new are looked into."""
    with Counting.open(tmp_path / "state") as store:
        names = [f"core.{number}/lake" for number in range(100)]
        outboxes = Outboxes(names, store, SystemClock(), Told())
        assert outboxes.pack({}) is None
        outboxes.wake([names[7]])
        assert outboxes.pack({}) is None
        assert store.asked == 101


def test_news_are_delivered_at_once(outgoing: Outgoing) -> None:
    """What is committed later is delivered without time passing."""
    sink = Told()
    outgoing.deliver(lake=sink)
    for value in range(20):
        outgoing.read([value])
        outgoing.clock.settle()
        assert sink.values == list(range(value + 1))


def test_one_of_two_sinks_is_down(outgoing: Outgoing) -> None:
    """The other gets everything on time; afterwards both hold the same, each metric once."""
    down, well = Told(), Told()
    down.answer = unavailable
    outgoing.deliver(down=down, well=well)
    for minute in range(60):
        outgoing.read(range(10 * minute, 10 * minute + 10), sinks=["down", "well"])
        outgoing.clock.advance(60)
        assert len(well.taken) == 10 * minute + 10
    assert not down.taken
    down.answer = take
    outgoing.clock.advance(60)
    assert down.taken == well.taken
    assert outgoing.store.dead_letters() == []


def test_an_outage_is_told_once(outgoing: Outgoing, caplog: pytest.LogCaptureFixture) -> None:
    """It is a warning when it begins and a note when it ends; in between the store knows."""
    caplog.set_level(logging.INFO, "signals")
    sink = Told()
    sink.answer = unavailable
    began = outgoing.clock.now()
    outgoing.read([1])
    outgoing.deliver(lake=sink)
    outgoing.clock.advance(HOUR)
    (line,) = outgoing.store.outbox()
    assert (line.failing_since, line.reason) == (began, "nobody listens")
    assert line.suspended_since is None
    sink.answer = take
    outgoing.clock.advance(60)
    (line,) = outgoing.store.outbox()
    assert (line.failing_since, line.reason) == (None, None)
    assert [(each.levelname, each.message) for each in caplog.records] == [
        ("WARNING", "sink lake: nobody listens (it is tried again, and nothing is lost)"),
        ("INFO", "sink lake: can be reached again"),
    ]


def test_an_outage_survives_a_restart(patient: Outgoing) -> None:
    """Since when a sink fails is known to the next process, which ends it as well."""
    sink = Told()
    sink.answer = unavailable
    began = patient.clock.now()
    patient.read([1])
    patient.deliver(lake=sink)
    patient.couriers.stop(1)
    patient.clock.advance(HOUR)
    courier = Courier(["lake"], Connection(sink, 1), patient.store, patient.clock)
    courier.start()
    patient.clock.advance(60)
    assert patient.store.outbox()[0].failing_since == began
    sink.answer = take
    patient.clock.advance(60)
    assert patient.store.outbox()[0].failing_since is None
    courier.stop(1)


def test_pauses_double_up_to_a_minute(patient: Outgoing) -> None:
    """A failing sink is tried after 1 s, 2 s, 4 s and so on; the connection is made anew."""
    sink, moments = Told(), []

    def fail(_batch):
        moments.append(patient.clock.monotonic())
        raise TimeoutError("too slow")

    sink.answer = fail
    patient.read([1])
    patient.deliver(lake=sink)
    patient.clock.advance(300)
    pauses = [after - before for before, after in pairwise(moments)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert sink.opened == len(moments)
    sink.answer = take
    patient.clock.advance(60)
    sink.answer = fail
    moments.clear()
    patient.read([2])
    patient.clock.advance(1)
    assert len(moments) == 2


def test_pauses_are_drawn(outgoing: Outgoing) -> None:
    """A pause is anything between zero and its bound, so that couriers do not march in step."""
    sink, moments = Told(), []

    def fail(_batch):
        moments.append(outgoing.clock.monotonic())
        raise Unavailable("down")

    sink.answer = fail
    outgoing.read([1])
    outgoing.deliver(lake=sink)
    outgoing.clock.advance(6 * HOUR)
    pauses = [after - before for before, after in pairwise(moments)][6:]
    assert max(pauses) <= 60
    assert 25 < sum(pauses) / len(pauses) < 35
    assert min(pauses) < 5


@pytest.mark.parametrize("seconds", [7, 300])
def test_retry_after_is_obeyed(patient: Outgoing, seconds: float) -> None:
    """A sink that asks for a pause is not written to before it is over, and not reopened."""
    sink, moments = Told(), []

    def busy(_batch):
        moments.append(patient.clock.monotonic())
        raise RetryAfter(seconds)

    sink.answer = busy
    patient.read([1])
    patient.deliver(lake=sink)
    patient.read([2])
    patient.clock.advance(seconds - 0.1)
    assert moments == [0]
    sink.answer = take
    patient.clock.advance(0.1)
    assert sink.values == [1, 2]
    assert sink.opened == 1


@pytest.mark.parametrize("seconds", [0, -5, float("nan")])
def test_retry_after_nothing_still_pauses(patient: Outgoing, seconds: float) -> None:
    """A sink that asks for no pause at all is not asked in a loop."""
    sink = Told()

    def busy(_batch):
        raise RetryAfter(seconds)

    sink.answer = busy
    patient.read([1])
    patient.deliver(lake=sink)
    patient.clock.advance(60)
    assert len(sink.tried) == 6


def test_a_sink_that_cannot_be_opened(outgoing: Outgoing) -> None:
    """What `open` raises is an outage like any other, and ends without a restart."""
    sink = Closed()
    outgoing.read([1])
    outgoing.deliver(lake=sink)
    outgoing.clock.advance(HOUR)
    assert outgoing.store.outbox()[0].reason == "nobody listens"
    sink.is_there = True
    outgoing.clock.advance(60)
    assert sink.values == [1]


def test_reasons_are_masked(outgoing: Outgoing, caplog: pytest.LogCaptureFixture) -> None:
    """No secret reaches the log, the store or a dead letter, whatever a sink says."""
    caplog.set_level(logging.DEBUG, "signals")
    password = Secret("tr0ub4dor&3").reveal()
    sink = Told()

    def talkative(_batch):
        raise ValueError(f"cannot log in with {password}")

    sink.answer = talkative
    outgoing.read([1, 2])
    outgoing.deliver(lake=sink)
    assert outgoing.store.outbox()[0].reason == "cannot log in with ***"
    assert "cannot log in" in caplog.text
    assert password not in caplog.text


def test_memory_does_not_grow_with_the_backlog(outgoing: Outgoing) -> None:
    """A sink that is down, or refuses all, costs the same with 20 MB pending as with a batch."""
    failing, refusing = Told(), Told()
    failing.answer, refusing.answer = unavailable, refuse_all
    for number in range(20):
        values = range(4000 * number, 4000 * number + 4000)
        outgoing.read(values, sinks=["failing", "refusing"])
    tracemalloc.start()
    outgoing.deliver(failing=failing, refusing=refusing)
    for _ in range(20):
        outgoing.clock.advance(60)
        failing.tried.clear()
        refusing.tried.clear()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8_000_000


def test_stop_lets_a_write_end(outgoing: Outgoing) -> None:
    """A write that is under way at `stop` ends and is acknowledged; nothing follows it."""
    sink, under_way, go_on = Told(batch_metrics=1), threading.Event(), threading.Event()

    def slowly(_batch):
        under_way.set()
        go_on.wait(10)

    sink.answer = slowly
    outgoing.read([1, 2])
    outgoing.couriers.add({"lake": Connection(sink, 1)})
    outgoing.couriers.start()
    under_way.wait(10)
    assert not outgoing.couriers.stop(0)
    go_on.set()
    assert outgoing.couriers.stop(10)
    assert sink.values == [1]
    assert outgoing.pending() == 1


def test_stop_ends_a_pause(outgoing: Outgoing) -> None:
    """A courier that waits, for news or for a sink, ends at once; one that never ran as well."""
    sink = Told()
    sink.answer = unavailable
    outgoing.read([1])
    outgoing.deliver(lake=sink, other=Told())
    threads = [each for each in threading.enumerate() if each.name.startswith("signals sink")]
    assert len(threads) == 2
    assert outgoing.couriers.stop(10)
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert Courier(["lake"], Connection(sink, 1), outgoing.store, outgoing.clock).stop(0)


def test_no_thread_before_start(outgoing: Outgoing) -> None:
    """A courier has a thread between `start` and `stop`, and opens nothing before it must."""
    sink = Told()
    before = threading.active_count()
    outgoing.couriers.add({"lake": Connection(sink, 1)})
    assert threading.active_count() == before
    outgoing.couriers.start()
    outgoing.clock.settle()
    assert threading.active_count() == before + 1
    assert not sink.opened


def test_no_room_for_an_acknowledgement(
    outgoing: Outgoing, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was written is not written again for want of room; said once, it goes on by itself."""
    caplog.set_level(logging.INFO, "signals")
    sink = Told()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    log = tmp_path / "state" / "store.db-wal"

    def fill_the_disk(_batch):
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, hard))

    sink.answer = fill_the_disk
    outgoing.read(range(10))
    try:
        outgoing.deliver(lake=sink)
        outgoing.clock.advance(HOUR)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sink.values == list(range(10))
    assert outgoing.pending() == 10
    outgoing.clock.advance(60)
    assert sink.values == list(range(10))
    assert outgoing.pending() == 0
    assert [each.levelname for each in caplog.records] == ["ERROR", "INFO"]
    assert "no room to write" in caplog.text
