"""What a commit stores, and what it sends of a bucket that is read again."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from signals_core import Batch, Reading
from signals_core.metric import Metrics
from signals_core.store import Item, Letter, Store
from store.made import (
    HOUR,
    KEY,
    SECOND,
    START,
    commit,
    covering,
    metric,
    reading,
    run_of,
    told,
    window,
)


def test_all_that_follows_from_a_reading(store):
    """A commit stores the run, the metrics for each sink, the coverage and the version."""
    read = reading([1, 2], bucket=window())
    committed = commit(store, read, ["lake", "console"], coverage=(KEY, None, covering(0)))
    assert committed.sent == ("lake", "console") and not committed.unchanged
    assert committed.retracted == 0 and committed.dropped == () and committed.note is None
    assert told(store, "lake") == told(store, "console") == [(1, 1), (2, 2)]
    assert store.coverage(KEY) == covering(0)
    assert store.last_version("shop.orders") == START
    (run,) = store.runs()
    assert run == run_of(read, id=committed.reading_id)


def test_wire_form_is_kept(store):
    """What a sink is handed is, byte for byte, what the reading held."""
    read = reading({1: Decimal("0.10"), 2: 10**40, 3: 1.5}, bucket=window())
    commit(store, read)
    packed = store.pending("lake", metrics=10, bytes=10**6)
    assert packed.batch.json_lines() == read.metrics.batches[0].json_lines()


def test_nothing_changed(store):
    """A bucket that holds what it held is not sent again, but its run and coverage are stored."""
    commit(store, reading([1, 2], bucket=window()), coverage=(KEY, None, covering(0)))
    again = reading([2, 1], START + SECOND, window())
    committed = commit(store, again, coverage=(KEY, covering(0), covering(0, 1)))
    assert committed.unchanged and committed.sent == () and committed.reading_id is None
    assert told(store) == [(1, 1), (2, 2)]
    assert [run.outcome for run in store.runs()] == ["unchanged", "read"]
    assert store.coverage(KEY) == covering(0, 1)
    assert store.last_version("shop.orders") == START + SECOND


@pytest.mark.parametrize("changed", [{1: 1, 2: 3}, {1: 1, 2: 2, 3: 3}])
def test_something_changed(store, changed):
    """Where one value is new the whole set is sent."""
    commit(store, reading([1, 2], bucket=window()))
    committed = commit(store, reading(changed, START + SECOND, window()))
    assert committed.sent == ("lake",) and committed.retracted == 0
    assert told(store) == [(1, 1), (2, 2), *changed.items()]


def test_equal_numbers_that_are_written_differently_have_changed(store):
    """What is compared is what receivers see: 1 and 1.0 are two."""
    commit(store, reading({1: 1}, bucket=window()))
    assert not commit(store, reading({1: 1.0}, START + SECOND, window())).unchanged


def test_what_vanished_is_retracted_once(store):
    """A metric that is gone is sent once with the value null and the new version."""
    commit(store, reading([1, 2], bucket=window()))
    committed = commit(store, reading([1], START + SECOND, window()))
    assert committed.retracted == 1
    assert told(store)[2:] == [(1, 1), (2, None)]
    retraction = store.pending("lake", metrics=9, bytes=10**6).batch[3]
    assert retraction == metric(2, None, START + SECOND, window())
    committed = commit(store, reading({1: 5}, START + 2 * SECOND, window()))
    assert committed.retracted == 0 and told(store)[4:] == [(1, 5)]


def test_a_set_that_vanished_whole(store):
    """A bucket that became empty is retracted, and is unchanged when it is empty again."""
    commit(store, reading([1, 2], bucket=window()))
    committed = commit(store, reading([], START + SECOND, window()))
    assert committed.retracted == 2 and told(store)[2:] == [(1, None), (2, None)]
    assert commit(store, reading([], START + 2 * SECOND, window())).unchanged


def test_a_metric_that_comes_back(store):
    """What was retracted and is there again is sent, and can vanish again."""
    for second, numbers in enumerate([[1, 2], [1], [1, 2], [1]]):
        commit(store, reading(numbers, START + second * SECOND, window()))
    assert told(store)[2:] == [(1, 1), (2, None), (1, 1), (2, 2), (1, 1), (2, None)]


def test_an_empty_reading_is_remembered(store):
    """After a bucket that was empty at first its first metrics are no sign of a lost reading."""
    committed = commit(store, reading([], bucket=window()), coverage=(KEY, None, covering(0)))
    assert committed.reading_id is not None and told(store) == []
    committed = commit(
        store, reading([1], START + SECOND, window()), coverage=(KEY, covering(0), covering(0))
    )
    assert committed.note is None and told(store) == [(1, 1)]


def test_buckets_are_kept_apart(store):
    """Another window, or another collector's, is not what a reading is compared with."""
    commit(store, reading([1], bucket=window(0)))
    assert not commit(store, reading([1], START + SECOND, window(1))).unchanged
    other = reading([1], START + SECOND, window(0), collector="shop.returns")
    assert not commit(store, other).unchanged


def test_without_a_bucket_everything_is_sent(store):
    """Readings without a grain are points in time: none is the version of another."""
    commit(store, reading([1]))
    committed = commit(store, reading([1], START + SECOND))
    assert not committed.unchanged and len(told(store)) == 2


def test_a_tag_that_looks_like_the_version(store):
    """A tag named timestamp that holds the version itself changes nothing about the comparison."""

    def read(at, tagged):
        line = metric(1, 1, at, window()).encode()
        text = tagged.isoformat(timespec="microseconds").replace("+00:00", "Z")
        line = line.replace(b'"customer":', f'"a":"b","timestamp":"{text}","customer":'.encode())
        return Reading("shop.orders", at, window(), Metrics([Batch([line])]), 1)

    commit(store, read(START, START))
    assert commit(store, read(START + SECOND, START + SECOND)).unchanged
    assert not commit(store, read(START + 2 * SECOND, START + HOUR)).unchanged


def test_resend(store):
    """A sink named in `resend` is sent the whole set though nothing changed, others nothing."""
    commit(store, reading([1, 2], bucket=window()))
    committed = commit(
        store, reading([1, 2], START + SECOND, window()), ["lake", "new"], resend=["new"]
    )
    assert committed.unchanged and committed.sent == ("new",)
    assert told(store, "new") == [(1, 1), (2, 2)] and len(told(store, "lake")) == 2
    assert store.runs()[0].outcome == "read"


def test_resend_says_what_is_retracted(store):
    """A receiver that is sent a set again also hears what was retracted from it last."""
    commit(store, reading([1, 2], bucket=window()))
    commit(store, reading([1], START + SECOND, window()))
    commit(store, reading([1], START + 2 * SECOND, window()), resend=["lake"])
    assert told(store)[4:] == [(1, 1), (2, None)]


def test_an_earlier_reading_that_is_no_longer_retained(store):
    """Where the earlier reading was pruned the whole set is sent, and the run says so."""
    commit(store, reading([1, 2], bucket=window()), coverage=(KEY, None, covering(0)))
    store.acknowledge("lake", [Item(1, 0, 2)], at=START)
    late = START + timedelta(days=40)
    store.prune(late)
    committed = commit(
        store, reading([1], late, window()), coverage=(KEY, covering(0), covering(0))
    )
    assert committed.sent == ("lake",) and committed.retracted == 0
    assert "no longer retained" in committed.note
    assert store.runs()[0].reason == committed.note


def test_a_window_read_for_the_first_time_says_nothing(store):
    """There is no note where there was no earlier reading."""
    store.save_coverage(KEY, None, covering(1))
    read = reading([1], bucket=window(0))
    assert commit(store, read, coverage=(KEY, covering(1), covering(0, 1))).note is None


def test_a_version_that_is_not_later(store):
    """A reading whose version is not later than its bucket's last is refused and leaves nothing."""
    commit(store, reading([1], bucket=window()))
    with pytest.raises(ValueError, match="not later"):
        commit(store, reading([2], bucket=window()))
    assert told(store) == [(1, 1)] and len(store.runs()) == 1


def test_the_high_water_mark_never_falls(store):
    """An earlier version in another bucket leaves the mark where it is."""
    commit(store, reading([1], START + HOUR, window(1)))
    commit(store, reading([1], START, window(0)))
    assert store.last_version("shop.orders") == START + HOUR
    assert store.last_version("unheard.of") is None


def test_coverage_that_is_not_what_is_stored(store):
    """A commit on stale coverage is refused whole: no run, no metric."""
    store.save_coverage(KEY, None, covering(1))
    with pytest.raises(ValueError, match="not what is stored"):
        commit(store, reading([1], bucket=window()), coverage=(KEY, None, covering(0)))
    assert told(store) == [] and store.runs() == [] and store.last_version(KEY[0]) is None


def test_a_snapshot_is_not_kept_for_a_full_outbox(folder):
    """A snapshot reading goes to the other sinks; the copy not kept is counted and listed."""
    with Store.open(folder, limit_bytes=300) as store:
        commit(store, reading([1, 2]), ["lake"])
        assert store.is_full("lake") and not store.is_full("console")
        read = reading([3], START + SECOND)
        committed = commit(store, read, ["lake", "console"])
        assert committed.dropped == ("lake",) and committed.sent == ("console",)
        assert len(told(store, "lake")) == 2 and told(store, "console") == [(3, 3)]
        assert "lake" in committed.note and store.runs()[0].reason == committed.note
        (dropped,) = store.dropped()
        assert (dropped.sink, dropped.collector, dropped.metrics) == ("lake", "shop.orders", 1)
        assert dropped.started == START + SECOND and dropped.window is None
        assert {line.sink: line.dropped for line in store.outbox()} == {"lake": 1, "console": 0}


def test_a_snapshot_that_no_sink_takes_leaves_no_payload(folder):
    """Where every outbox is full a snapshot's run is recorded and its metrics are not."""
    with Store.open(folder, limit_bytes=1) as store:
        commit(store, reading([1]))
        committed = commit(store, reading([2], START + SECOND))
        assert committed.reading_id is None and len(store.runs()) == 2
        assert told(store) == [(1, 1)]


def test_a_copy_not_kept_is_made_up_in_its_bucket(folder):
    """A sink that missed a bucket's state is sent it by the next reading that has room."""
    with Store.open(folder, limit_bytes=300) as store:
        commit(store, reading([7, 8]), ["lake"])
        read = reading([1], START + SECOND, window())
        commit(store, read, ["lake", "console"], windowed=False)
        store.acknowledge("lake", [Item(1, 0, 2)], at=START)
        again = reading([1], START + 2 * SECOND, window())
        committed = commit(store, again, ["lake", "console"], windowed=False)
        assert committed.unchanged and committed.sent == ("lake",)
        assert told(store, "lake") == [(1, 1)] and told(store, "console") == [(1, 1)]


def test_a_windowed_reading_is_always_kept(folder):
    """What was read of a window is stored however full the outbox: the runner asks before."""
    with Store.open(folder, limit_bytes=1) as store:
        store.save_coverage(KEY, None, covering())
        for hour in range(2):
            read = reading([1], START + hour * HOUR, window(hour))
            before, after = covering(*range(hour)), covering(*range(hour + 1))
            assert commit(store, read, coverage=(KEY, before, after)).dropped == ()
        assert len(told(store)) == 2


def test_a_dead_letter_does_not_hide_what_vanished(store):
    """A retraction is made of what was read, whatever a sink made of it."""
    commit(store, reading([1, 2], bucket=window()))
    store.bury("lake", [Letter(1, 1, "no")], at=START, delivered=[Item(1, 0, 1)])
    assert commit(store, reading([1], START + SECOND, window())).retracted == 1


def test_what_a_full_outbox_missed_is_retracted_later(folder):
    """A sink that missed a retraction, however often, hears it once there is room."""
    with Store.open(folder, limit_bytes=300) as store:
        commit(store, reading([1, 2], START, window()), ["lake", "console"], windowed=False)
        for second, values in enumerate(({1: 1}, {1: 5}, {1: 6}), start=1):
            if second == 3:
                store.acknowledge("lake", [Item(1, 0, 2)], at=START)
            store.acknowledge("console", [Item(second, 0, 9)], at=START)
            read = reading(values, START + second * SECOND, window())
            committed = commit(store, read, ["lake", "console"], windowed=False)
            assert committed.dropped == (() if second == 3 else ("lake",))
        assert told(store) == [(1, 6), (2, None)]
