"""The outbox: packing, acknowledging, dead letters, orphans."""

from __future__ import annotations

import tracemalloc
from datetime import timedelta

import pytest

from signals_core import Batch, Reading
from signals_core.metric import Metrics
from signals_core.store import Item, Letter, Position, Settled, StoreError
from store.made import HOUR, SECOND, START, commit, drop, metric, reading, told, window

PLENTY = 10**9
LINE = len(metric(1, 1, START, None).encode()) + 1


@pytest.fixture
def filled(store):
    """A store with readings of three, two and four metrics, of two collectors."""
    commit(store, reading([1, 2, 3]), ["lake", "console"])
    commit(store, reading([4, 5], collector="shop.returns"))
    commit(store, reading([6, 7, 8, 9], START + SECOND))
    return store


def numbers(packed):
    """Return the numbers of the metrics in a batch."""
    return [each.uuid.int for each in packed.batch]


def test_packs_across_readings_and_collectors(filled):
    """A batch is filled in order of commit, across readings."""
    packed = filled.pending("lake", metrics=7, bytes=PLENTY)
    assert numbers(packed) == [1, 2, 3, 4, 5, 6, 7]
    assert packed.items == (Item(1, 0, 3), Item(2, 0, 2), Item(3, 0, 2))
    assert packed.end == Position(3, 2)


def test_packs_on_behind_a_batch(filled):
    """`after` gives what lies behind an earlier batch, until there is nothing."""
    first = filled.pending("lake", metrics=4, bytes=PLENTY)
    second = filled.pending("lake", metrics=4, bytes=PLENTY, after=first.end)
    third = filled.pending("lake", metrics=4, bytes=PLENTY, after=second.end)
    assert numbers(first) + numbers(second) + numbers(third) == [*range(1, 10)]
    assert filled.pending("lake", metrics=4, bytes=PLENTY, after=third.end) is None


@pytest.mark.parametrize("lines", [1, 2, 5])
def test_bytes_bound_a_batch(filled, lines):
    """A batch holds as many whole metrics as its bytes admit, each with its line break."""
    packed = filled.pending("lake", metrics=100, bytes=lines * LINE)
    assert len(packed.batch) == lines
    assert len(filled.pending("lake", metrics=100, bytes=(lines + 1) * LINE - 1).batch) == lines


def test_a_larger_metric_goes_alone(filled):
    """A metric that is larger than the bound is a batch of its own."""
    assert numbers(filled.pending("lake", metrics=100, bytes=1)) == [1]
    after = Position(1, 1)
    assert numbers(filled.pending("lake", metrics=100, bytes=1, after=after)) == [2]


def test_a_reading_of_many_chunks(store):
    """However large a reading, its batches are whole lines in order, and add up to it."""
    count = 5000
    lines = [metric(each, each, START, None).encode() for each in range(count)]
    lines[77] += b" " * 300_000  # one metric larger than a chunk
    whole = Batch(lines)
    commit(store, Reading("shop.orders", START, None, Metrics([whole]), count))
    parts, after, items = b"", None, []
    while packed := store.pending("lake", metrics=700, bytes=200_000, after=after):
        parts, after = parts + packed.batch.json_lines(), packed.end
        items += packed.items
    assert parts == whole.json_lines()
    assert sum(item.last - item.first for item in items) == count
    for item in items:
        store.acknowledge("lake", [item], at=START)
    (line,) = store.outbox()
    assert (line.metrics, line.bytes, line.oldest) == (0, 0, None)


def test_memory_does_not_grow_with_the_backlog(store):
    """Packing a batch takes memory for the batch, not for what is pending."""
    lines = Batch(metric(each, each, START, None).encode() for each in range(2000))
    for second in range(40):
        at = START + second * SECOND
        commit(store, Reading("shop.orders", at, None, Metrics([lines]), 2000))
    tracemalloc.start()
    try:
        store.pending("lake", metrics=100, bytes=PLENTY)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert store.outbox()[0].bytes > 15_000_000
    assert peak < 1_000_000


def test_what_is_acknowledged_leaves(filled):
    """Acknowledged metrics are not pending any more; the counts follow, other sinks do not."""
    filled.acknowledge("lake", [Item(1, 1, 2), Item(2, 0, 2)], at=START)
    assert [number for number, _ in told(filled)] == [1, 3, 6, 7, 8, 9]
    by_sink = {line.sink: line for line in filled.outbox()}
    assert (by_sink["lake"].metrics, by_sink["lake"].bytes) == (6, 6 * LINE)
    assert by_sink["console"].metrics == 3


def test_acknowledging_twice(filled):
    """An acknowledgement that comes again, or too late, or from an unknown sink does nothing."""
    for _ in range(2):
        filled.acknowledge("lake", [Item(1, 0, 3)], at=START)
    filled.acknowledge("unheard", [Item(1, 0, 3)], at=START)
    assert len(told(filled)) == 6 and filled.outbox()[1].metrics == 6


def test_places_of_a_batch(filled):
    """A metric of a batch can be found in the outbox by its index, and a part cut out of it."""
    packed = filled.pending("lake", metrics=8, bytes=PLENTY)
    assert [packed.at(index) for index in range(8)] == list(packed.positions())
    assert packed.at(4) == Position(2, 1)
    part = packed.select([1, 2, 3, 7])
    assert numbers(part) == [2, 3, 4, 8]
    assert part.items == (Item(1, 1, 3), Item(2, 0, 1), Item(3, 2, 3))
    assert (
        part.batch.json_lines() == Batch(packed.batch.encoded[i] for i in (1, 2, 3, 7)).json_lines()
    )


def test_dead_letters_leave_with_the_rest(filled):
    """What a sink refused for good is listed with its reason, and the rest is acknowledged."""
    filled.bury(
        "lake", [Letter(1, 2, "too old"), Letter(2, 0, "no such tag")], at=START + HOUR,
        delivered=[Item(1, 0, 2), Item(2, 1, 2)],
    )  # fmt: skip
    assert [number for number, _ in told(filled)] == [6, 7, 8, 9]
    first, second = filled.dead_letters()
    assert (first.reading_id, first.index, first.reason) == (1, 2, "too old")
    assert first.at == START + HOUR and first.metric.uuid.int == 3
    assert (second.collector, second.metric.uuid.int) == ("shop.returns", 4)
    assert filled.outbox()[1].dead_letters == 2
    assert filled.dead_letters("console") == [] and len(filled.dead_letters("lake", 1)) == 1


def test_a_letter_that_is_not_pending_is_passed_over(filled):
    """What has left the outbox meanwhile does not come back as a dead letter."""
    filled.acknowledge("lake", [Item(1, 0, 3)], at=START)
    filled.bury("lake", [Letter(1, 0, "late"), Letter(2, 0, "no")], at=START)
    assert [(each.reading_id, each.index) for each in filled.dead_letters()] == [(2, 0)]


def test_dead_letters_are_retried(filled):
    """Retried dead letters are pending again, in their old place."""
    filled.bury("lake", [Letter(1, 0, "no"), Letter(1, 2, "no"), Letter(3, 1, "no")], at=START)
    assert filled.retry_dead("lake") == (3, 0)
    assert [number for number, _ in told(filled)] == [*range(1, 10)]
    assert filled.dead_letters() == []
    assert (filled.outbox()[1].metrics, filled.outbox()[1].bytes) == (9, 9 * LINE)


def test_an_outdated_dead_letter_is_not_retried(store):
    """A receiver that got a later reading of the window does not get the older metric."""
    for second in range(2):
        read = reading({1: second, 2: second}, START + second * SECOND, window())
        commit(store, read, ["lake", "console"])
    commit(store, reading([5], START, window(1)))
    for sink in ("lake", "console"):
        store.bury(sink, [Letter(1, 0, "no")], at=START, delivered=[Item(1, 1, 2)])
    store.bury("lake", [Letter(3, 0, "no")], at=START, delivered=[Item(2, 0, 1)])
    assert store.retry_dead("lake") == (1, 1)
    assert store.retry_dead("console") == (1, 0)  # its later reading is still pending
    assert told(store) == [(2, 1), (5, 5)] and len(told(store, "console")) == 3


def test_points_in_time_are_never_outdated(filled):
    """Without a bucket no reading is the version of another."""
    filled.bury("lake", [Letter(1, 0, "no")], at=START, delivered=[Item(3, 0, 4)])
    assert filled.retry_dead("lake") == (1, 0)


def test_dead_letters_can_be_thrown_away(filled):
    """Dropped dead letters are gone, and counted."""
    filled.bury("lake", [Letter(1, 0, "no")], at=START)
    assert filled.drop_dead("lake") == 1 and filled.drop_dead("unheard") == 0
    assert filled.dead_letters() == []


def test_a_removed_sink_is_orphaned(filled):
    """What is pending for a sink that is no longer configured stays until its name returns."""
    filled.set_sinks(["console", "new"])
    lines = {line.sink: line for line in filled.outbox()}
    assert {name: line.orphaned for name, line in lines.items()} == {
        "console": False,
        "lake": True,
        "new": False,
    }
    assert lines["lake"].oldest == START and lines["new"].metrics == 0
    filled.set_sinks(["lake"])
    assert not {line.sink: line for line in filled.outbox()}["lake"].orphaned
    assert len(told(filled)) == 9


def test_dropping_an_orphan(filled):
    """What is dropped is counted, listed, and no longer pending."""
    filled.set_sinks(["console"])
    assert filled.drop("lake", at=START + HOUR) == 9 and filled.drop("unheard") == 0
    assert told(filled) == [] and len(told(filled, "console")) == 3
    assert [(each.sink, each.metrics, each.at) for each in filled.dropped("lake")] == [
        ("lake", 4, START + HOUR),
        ("lake", 2, START + HOUR),
        ("lake", 3, START + HOUR),
    ]
    _, lake = filled.outbox()
    assert lake.bytes == 0 and lake.dropped == 3 and not lake.orphaned


def test_a_sink_that_is_configured_is_not_dropped(filled):
    """What a courier may have in hand is never dropped: only an orphan's outbox is."""
    assert filled.drop("lake") == 0 and filled.dropped("lake") == []
    assert len(told(filled)) == 9


def test_how_a_sink_is(store):
    """Since when a sink fails or is suspended, and why, is kept until it is said to be well."""
    store.set_sinks(["lake"])
    store.set_sink_state("lake", START, "401 Unauthorized", START - HOUR)
    (line,) = store.outbox()
    assert (line.suspended_since, line.reason, line.failing_since) == (
        START,
        "401 Unauthorized",
        START - HOUR,
    )
    store.set_sink_state("lake", None, None, None)
    (line,) = store.outbox()
    assert (line.suspended_since, line.reason, line.failing_since) == (None, None, None)


def test_a_removed_sink_is_not_failing(filled):
    """What is no longer configured is not tried, so it neither fails nor is suspended."""
    filled.set_sink_state("lake", START, "401 Unauthorized", START - HOUR)
    filled.set_sinks(["console"])
    filled.drop("lake", at=START + HOUR)
    _, lake = filled.outbox()
    assert (lake.suspended_since, lake.reason, lake.failing_since) == (None, None, None)
    filled.set_sinks(["console", "lake"])
    _, lake = filled.outbox()
    assert lake.reason == "401 Unauthorized"


def test_a_full_outbox_has_room_again(store):
    """An outbox is full by what is pending, not by what ever went through it."""
    store._limit_bytes = 2 * LINE
    commit(store, reading([1, 2]))
    assert store.is_full("lake")
    store.acknowledge("lake", [Item(1, 0, 1)], at=START + timedelta(1))
    assert not store.is_full("lake")


def test_dead_letters_take_room(store):
    """Dead letters count into the bound of their sink: they are neither endless nor thrown away."""
    store._limit_bytes = 2 * LINE
    commit(store, reading([1, 2, 3]))
    store.bury("lake", [Letter(1, 0, "no"), Letter(1, 2, "no")], at=START)
    store.acknowledge("lake", [Item(1, 1, 2)], at=START)
    (line,) = store.outbox()
    assert (line.bytes, line.dead_bytes) == (0, 2 * LINE) and store.is_full("lake")
    assert commit(store, reading([4], START + HOUR)).dropped == ("lake",)
    assert store.retry_dead("lake") == (2, 0)
    (line,) = store.outbox()
    assert (line.bytes, line.dead_bytes) == (2 * LINE, 0) and store.is_full("lake")
    store.bury("lake", [Letter(1, 0, "no")], at=START, delivered=[Item(1, 2, 3)])
    assert store.outbox()[0].dead_bytes == LINE and not store.is_full("lake")
    assert store.drop_dead("lake") == 1 and store.outbox()[0].dead_bytes == 0


def test_dropped_dead_letters_are_listed(store):
    """A dead letter that is thrown away by hand is listed by its reading, however it got there."""
    commit(store, reading([1, 2, 3]))
    store.bury("lake", [Letter(1, 0, "no"), Letter(1, 2, "no")], at=START)
    assert store.drop_dead("lake", at=START + HOUR) == 2
    assert [(each.metrics, each.at) for each in store.dropped()] == [(2, START + HOUR)]
    store.set_sinks([])
    assert store.drop("lake", at=START + 2 * HOUR) == 1
    assert [(each.metrics, each.at) for each in store.dropped()] == [(3, START + 2 * HOUR)]


def test_dead_letters_of_an_orphan_are_listed_too(store):
    """Where some of a reading was dropped before, its dead letters are added to that."""
    commit(store, reading([1, 2, 3]))
    store.bury("lake", [Letter(1, 0, "no")], at=START)
    assert drop(store, "lake") == 2 and store.drop_dead("lake", at=START + 2 * HOUR) == 1
    assert [(each.metrics, each.at) for each in store.dropped()] == [(3, START + 2 * HOUR)]


def test_several_sinks_are_settled_at_once(store):
    """What several sinks took and refused is noted in one transaction, or not at all."""
    commit(store, reading([1, 2]), ["lake", "console"])
    broken = Settled("console", refused=[Letter(1, 0, None)])
    parts = [Settled("lake", delivered=[Item(1, 0, 2)]), broken]
    with pytest.raises(StoreError):
        store.settle(parts, at=START)
    assert len(told(store, "lake")) == len(told(store, "console")) == 2
    parts[1] = Settled("console", [Item(1, 1, 2)], [Letter(1, 0, "no")])
    store.settle(parts, at=START)
    assert told(store, "lake") == told(store, "console") == []
    assert [letter.sink for letter in store.dead_letters()] == ["console"]
