"""What is refused: poison, a whole collector, everything."""

from __future__ import annotations

import logging

import pytest

from parts.outgoing import Outgoing, Told, refuse, refuse_all, take, value_of
from signals_core import Rejected, Unavailable

DAY = 86_400


@pytest.mark.parametrize("poisoned", [0, 1, 421, 998, 999])
def test_one_poisoned_metric(outgoing: Outgoing, poisoned: int) -> None:
    """One metric in 1 000 is refused: 999 arrive, it lies in the dead letters with the words."""
    sink = Told()
    sink.answer = refuse({poisoned})
    outgoing.read(range(1000))
    outgoing.deliver(lake=sink)
    assert outgoing.dead() == {poisoned: f"no {poisoned} here"}
    assert set(sink.values) == set(range(1000)) - {poisoned}
    assert outgoing.pending() == 0
    assert len(sink.tried) < 30


@pytest.mark.parametrize(
    "poisoned", [{0}, {1}, {421}, {998}, {999, 1500}, {100, 300, 500, 700, 900}, {0, 500, 1000}]
)
def test_poison_among_good_metrics_changes_no_order(outgoing: Outgoing, poisoned: set[int]) -> None:
    """What is taken of a refused batch, and of those behind, is written once and in order."""
    sink = Told()
    sink.answer = refuse(poisoned)
    outgoing.read(range(2500))
    outgoing.deliver(lake=sink)
    assert sink.values == [value for value in range(2500) if value not in poisoned]


def test_named_metrics(outgoing: Outgoing) -> None:
    """Metrics that a sink names go to the dead letters, and the rest is written at once."""
    sink = Told()
    sink.answer = refuse({3, 5}, by_index=True)
    outgoing.read(range(10))
    outgoing.deliver(lake=sink)
    assert outgoing.dead() == {3: "no 3 here", 5: "no 3 here"}
    assert sink.values == [0, 1, 2, 4, 6, 7, 8, 9]
    assert len(sink.tried) == 2


def test_named_metrics_wait_for_the_rest(outgoing: Outgoing) -> None:
    """Where the rest is refused too nobody knows what a name is worth: nothing is dead."""
    sink = Told()
    sink.answer = refuse(set(range(10)), by_index=True)
    outgoing.read(range(10))
    outgoing.deliver(lake=sink)
    outgoing.clock.advance(DAY / 24)
    assert not outgoing.dead()
    sink.answer = take
    outgoing.clock.advance(60)
    assert sink.values == list(range(10))


def test_named_metrics_are_asked_again_after_a_pause(outgoing: Outgoing) -> None:
    """A receiver that is mended before the rest was taken gets what it had named as well."""
    sink = Told()

    def name_some_and_hang_up(batch):
        if len(batch) < 10:
            sink.answer = take
            raise Unavailable("going down for maintenance")
        refuse({3, 5}, by_index=True)(batch)

    sink.answer = name_some_and_hang_up
    outgoing.read(range(10))
    outgoing.deliver(lake=sink)
    outgoing.clock.advance(60)
    assert not outgoing.dead()
    assert set(sink.values) == set(range(10))


def test_sorting_out_goes_on_after_a_pause(outgoing: Outgoing) -> None:
    """After a failure the metric that was suspected is asked again alone: what is known stays."""
    sink = Told()

    def fail_at_the_second_look(batch):
        if [value_of(line) for line in batch.encoded] == [600]:
            sink.answer = fail_next
        refuse({600})(batch)

    def fail_next(_batch):
        sink.tried.clear()
        sink.answer = refuse({600})
        raise Unavailable("restarting")

    sink.answer = fail_at_the_second_look
    outgoing.read(range(1000))
    outgoing.deliver(lake=sink)
    outgoing.clock.advance(60)
    assert [value_of(line) for line in sink.tried[0].encoded] == [600]
    assert sink.values == [value for value in range(1000) if value != 600]
    assert outgoing.dead().keys() == {600}


def test_a_sink_that_refuses_everything(
    patient: Outgoing, caplog: pytest.LogCaptureFixture
) -> None:
    """It is suspended, with one alarm; nothing is thrown away, and all arrives once mended."""
    caplog.set_level(logging.INFO, "signals")
    sink = Told()
    sink.answer = refuse_all
    patient.read(range(1100))
    patient.deliver(lake=sink)
    patient.clock.advance(DAY)
    assert not patient.dead()
    assert patient.pending() == 1100
    (line,) = patient.store.outbox()
    assert line.suspended_since is not None and line.reason == "who are you?"
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    sink.answer = take
    patient.clock.advance(60)
    assert sorted(sink.values) == list(range(1100))
    assert not patient.dead()
    (line,) = patient.store.outbox()
    assert (line.suspended_since, line.failing_since, line.reason) == (None, None, None)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_a_bad_metric_that_is_alone_for_a_moment_is_no_alarm(
    outgoing: Outgoing, caplog: pytest.LogCaptureFixture
) -> None:
    """A bad metric behind which nothing is pending yet makes its sink fail, and suspends nobody."""
    caplog.set_level(logging.INFO, "signals")
    sink = Told()
    sink.answer = refuse({0, 10, 20})
    outgoing.deliver(lake=sink)
    for first in (0, 10, 20):
        outgoing.read([first])
        outgoing.clock.advance(1)
        (line,) = outgoing.store.outbox()
        assert line.suspended_since is None and line.failing_since is not None
        assert line.reason == f"no {first} here"
        outgoing.read(range(first + 1, first + 10))
        outgoing.clock.advance(8)
        (line,) = outgoing.store.outbox()
        assert (line.metrics, line.failing_since) == (0, None)
    assert outgoing.dead().keys() == {0, 10, 20}
    assert {record.getMessage() for record in caplog.records} == {
        f"sink lake: 1 metric was refused for good and kept as dead letters: no {first} here"
        for first in (0, 10, 20)
    }


def test_a_suspension_that_lasts(outgoing: Outgoing, caplog: pytest.LogCaptureFixture) -> None:
    """What takes nothing at all for more than ten seconds is suspended, since the first refusal."""
    sink = Told()
    sink.answer = refuse_all
    outgoing.read(range(10))
    began = outgoing.clock.now()
    outgoing.deliver(lake=sink)
    outgoing.clock.advance(5)
    assert not caplog.records and outgoing.store.outbox()[0].suspended_since is None
    outgoing.clock.advance(120)
    (line,) = outgoing.store.outbox()
    assert (line.suspended_since, line.failing_since) == (began, None)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_suspended_sink_is_not_flooded(patient: Outgoing) -> None:
    """A refused batch costs two requests a halving, a retry a handful of single metrics."""
    sink = Told()
    sink.answer = refuse_all
    patient.read(range(10_000))
    patient.deliver(lake=sink)
    assert len(sink.tried) <= 2 * 11 + 4
    sink.tried.clear()
    patient.clock.advance(3600)
    assert {len(batch) for batch in sink.tried} == {1}
    assert len(sink.tried) <= 66 * 5


@pytest.mark.parametrize("accepted", range(0, 12, 2))
def test_a_sink_that_begins_to_refuse_everything(outgoing: Outgoing, accepted: int) -> None:
    """A receiver that breaks amid a sorting out loses nothing that it would have taken."""
    sink = Told()
    left = iter(range(accepted))

    def break_down(batch):
        refuse({300})(batch)
        if next(left, None) is None:
            refuse_all(batch)

    sink.answer = break_down
    outgoing.read(range(1000))
    outgoing.deliver(lake=sink)
    outgoing.clock.advance(DAY / 24)
    assert outgoing.dead().keys() <= {300}
    sink.answer = refuse({300})
    outgoing.clock.advance(60)
    assert outgoing.dead().keys() == {300}
    assert set(sink.values) == set(range(1000)) - {300}


def test_a_receiver_that_takes_only_what_it_knows(outgoing: Outgoing) -> None:
    """One that takes metrics a second time and nothing new is suspended: nothing is thrown away."""
    sink = Told()

    def nothing_new(batch):
        if not set(batch.encoded) <= set(sink.taken):
            raise Rejected("quota exceeded")

    outgoing.read(range(50))
    outgoing.deliver(lake=sink)
    sink.answer = nothing_new
    outgoing.read(range(50, 100))
    outgoing.clock.advance(DAY / 24)
    assert not outgoing.dead()
    assert outgoing.store.outbox()[0].suspended_since is not None


def test_a_witness_of_better_days(outgoing: Outgoing) -> None:
    """What was taken before a suspension proves nothing after it."""
    sink = Told()
    left = iter(range(5))

    def break_down(batch):
        refuse({10})(batch)
        if next(left, None) is None:
            refuse_all(batch)

    def nothing_new(batch):
        if not set(batch.encoded) <= set(sink.taken):
            raise Rejected("quota exceeded")

    sink.answer = break_down
    outgoing.read(range(100))
    outgoing.deliver(lake=sink)
    assert sink.taken
    assert outgoing.store.outbox()[0].failing_since is not None
    sink.answer = nothing_new
    outgoing.clock.advance(DAY / 24)
    assert outgoing.dead().keys() <= {10}


def test_mended_between_a_refusal_and_the_proof(outgoing: Outgoing) -> None:
    """A receiver that is mended while a metric is suspected gets that metric too."""
    sink = Told()

    def mended_after_a_refusal(batch):
        if len(batch) == 1 and sink.answer is mended_after_a_refusal:
            sink.answer = take
        refuse_all(batch)

    sink.answer = mended_after_a_refusal
    outgoing.read(range(100))
    outgoing.deliver(lake=sink)
    assert not outgoing.dead()
    assert set(sink.values) == set(range(100))


@pytest.mark.parametrize("lengths", [(5000, 700), (10, 10), (1, 1, 1, 1)])
@pytest.mark.parametrize("by_index", [False, True])
def test_a_collector_that_is_refused_whole(
    outgoing: Outgoing, lengths: tuple[int, ...], by_index: bool
) -> None:
    """However much of it is in front, the other collectors' metrics arrive and its own are dead."""
    sink = Told()
    bad = range(sum(lengths))
    sink.answer = refuse(bad, by_index=by_index)
    values = iter(bad)
    for length in lengths:
        outgoing.read([next(values) for _ in range(length)], collector="theirs")
    good = range(10_000, 12_000)
    outgoing.read(good[:1500], collector="ours")
    outgoing.read(good[1500:], collector="ours too")
    outgoing.deliver(lake=sink)
    outgoing.clock.advance(120)
    assert set(good) <= set(sink.values)
    for value in range(20_000, 20_010):  # what proves that the sink is well
        outgoing.read([value], collector="ours")
        outgoing.clock.advance(60)
    assert outgoing.dead().keys() == set(bad)
    assert outgoing.pending() == 0


def test_a_refused_collector_among_others(outgoing: Outgoing) -> None:
    """Where every batch holds some of its metrics a retry finds the others' within moments."""
    sink = Told()
    sink.answer = refuse(range(5000))
    for number in range(0, 2500, 10):
        outgoing.read(range(number, number + 10), collector="theirs")
        outgoing.read(range(5000 + number, 5010 + number), collector="ours")
    outgoing.deliver(lake=sink)
    outgoing.clock.advance(60)
    assert set(sink.values) == set(range(5000, 7500))
    outgoing.read([9000])
    outgoing.clock.advance(60)
    assert outgoing.dead().keys() == set(range(2500))


def test_what_is_behind_does_not_wait_for_the_sorting(outgoing: Outgoing) -> None:
    """While a large refused reading is sorted out, other metrics are delivered beside it."""
    sink = Told()
    sink.answer = refuse(range(1000))
    outgoing.read(range(1000), collector="theirs")
    outgoing.read(range(1000, 4000), collector="ours")
    outgoing.deliver(lake=sink)
    ours = max(index for index, batch in enumerate(sink.tried) if len(batch) > 900)
    assert ours < 200 < len(sink.tried)


def test_one_metric_refused_alone(outgoing: Outgoing) -> None:
    """Alone in the outbox a metric waits, however long, until the sink takes something else."""
    sink = Told()
    sink.answer = refuse({1})
    outgoing.read([0])
    outgoing.deliver(lake=sink)
    outgoing.read([1])
    outgoing.clock.advance(DAY / 24)
    assert not outgoing.dead()
    outgoing.read([2])
    outgoing.clock.advance(60)
    assert outgoing.dead() == {1: "no 1 here"}
    assert sink.values == [0, 2]


def test_retried_dead_letters(outgoing: Outgoing) -> None:
    """`outbox retry` brings dead letters once the receiver was mended."""
    sink = Told()
    sink.answer = refuse({1})
    outgoing.read(range(3))
    outgoing.deliver(lake=sink)
    assert list(outgoing.dead()) == [1]
    sink.answer = take
    outgoing.store.retry_dead("lake")
    outgoing.couriers.wake(["lake"])
    outgoing.clock.settle()
    assert set(sink.values) == {0, 1, 2}
    assert not outgoing.dead()
