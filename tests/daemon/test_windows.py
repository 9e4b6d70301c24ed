"""When windows are read: as they fall due, in passes, and never half."""

from __future__ import annotations

import logging
from datetime import timedelta
from itertools import pairwise

import pytest

from parts.running import DAY, HOUR, MINUTE, Gate, Rig, Taker, at, one
from signals_core import Grain, Unavailable
from signals_core.builtin.schedules import Cron
from signals_core.keys import key_of


def hours(*counts: int, of: str = "2026-01-01") -> list:
    """Return instants so many hours into a day."""
    return [at(of) + count * HOUR for count in counts]


def test_a_window_is_read_when_it_falls_due(rig: Rig) -> None:
    """Without a schedule a window is read exactly when its end and the grace have passed."""
    rig.start(rig.windowed(grace=5 * MINUTE))
    rig.advance(HOUR)
    rig.source.asked.clear()
    rig.until("2026-01-01T03:10")
    assert rig.source.asked == [
        (at("2026-01-01T01:05"), at("2026-01-01T00:00")),
        (at("2026-01-01T02:05"), at("2026-01-01T01:00")),
        (at("2026-01-01T03:05"), at("2026-01-01T02:00")),
    ]
    assert rig.sink.starts[-3:] == hours(0, 1, 2)


def test_history_begins_with_the_latest_window(rig: Rig) -> None:
    """Without a start history begins with the latest window due, read within a minute."""
    collector = rig.windowed()
    rig.start(collector)
    rig.exactly(MINUTE)
    assert rig.source.windows == hours(-2, -1)  # the latter falls due a minute after midnight
    assert rig.coverage(collector).start == at("2025-12-31T22:00")


def test_history_begins_with_its_start(rig: Rig) -> None:
    """With a start all windows from there are read, oldest first; a later one changes nothing."""
    rig.start(rig.windowed(start=at("2025-12-31T12:00")))
    rig.until("2026-01-01T00:05")
    assert rig.source.windows == hours(*range(-12, 0))
    rig.stop()
    rig.start(rig.windowed(start=at("2026-06-01")))
    rig.until("2026-01-01T01:05")
    assert rig.source.windows == hours(*range(-12, 1))


def test_an_earlier_start_extends_history(rig: Rig) -> None:
    """An earlier start has the windows read that it adds, and no other again."""
    rig.start(rig.windowed(start=at("2025-12-31T22:00")))
    rig.until("2026-01-01T00:05")
    rig.stop()
    rig.start(rig.windowed(start=at("2025-12-31T20:00")))
    rig.advance(2 * MINUTE)
    assert rig.source.windows == hours(-2, -1, -4, -3)


def test_what_a_source_has_shown(rig: Rig) -> None:
    """Windows in a row are read by one answer of the source, until one is not over by it."""
    asked: list[int] = []

    def seen():
        asked.append(len(rig.source.asked))
        return at("2025-12-31T20:00") if len(asked) == 1 else rig.now

    rig.source.seen = seen
    rig.start(rig.windowed(start=at("2025-12-31T12:00"), grace=timedelta(0)))
    rig.exactly(MINUTE)
    assert asked == [0, 8]
    assert rig.source.windows == hours(*range(-12, 0))


def test_what_a_source_has_shown_grows_old(rig: Rig) -> None:
    """After a second in a row the source is asked again: another server may answer by then."""
    asked: list[int] = []
    rig.source.seen = lambda: asked.append(len(rig.source.asked))

    def slow(request):
        request.wait(0.4)
        yield from one(request)

    rig.source.answer = slow
    rig.start(rig.windowed(start=at("2025-12-31T12:00"), grace=timedelta(0)))
    rig.exactly(MINUTE)
    assert asked[:4] == [0, 3, 6, 9]
    assert rig.source.windows == hours(*range(-12, 0))


@pytest.mark.parametrize(("seconds", "sizes"), [(0, [12]), (0.02, [3, 3, 3, 3]), (1, [1] * 12)])
def test_a_row_of_windows_goes_out_in_few_batches(rig: Rig, seconds: float, sizes: list) -> None:
    """What is read in a row is delivered when it is over, and twenty times a second at the most."""

    class Counting(Taker):
        def write(self, batch):
            self.taken.append(len(batch))

    def answer(request):
        request.wait(seconds)
        yield from one(request)

    rig.source.answer, rig.sink = answer, Counting()
    rig.start(rig.windowed(start=at("2025-12-31T12:00"), grace=timedelta(0)))
    rig.exactly(MINUTE + timedelta(seconds=30))
    assert rig.sink.taken == sizes


def test_a_row_of_windows_holds_up_nobody(rig: Rig) -> None:
    """Who makes up many windows leaves the source to a collector that waits for it."""
    gate, names = Gate(rig.clock), []

    def answer(request):
        names.append(request.collector)
        yield from gate.answer(request)

    rig.source.answer = answer
    policy = {"start": at("2025-12-31T12:00"), "timeout": HOUR}
    rig.start(rig.windowed("core.a", **policy), rig.windowed("core.b", **policy))
    rig.exactly(2 * MINUTE)
    rig.call(gate.open)
    rig.exactly(MINUTE)
    assert len(names) == 24 and names[0] != names[1]


@pytest.mark.parametrize("behind", [timedelta(milliseconds=20), 2 * HOUR, 10 * MINUTE])
def test_a_watermark_that_is_behind_at_the_tick(rig: Rig, behind: timedelta) -> None:
    """A watermark behind at the tick delays the pass: read the same night, and never before W."""
    rig.until("2026-01-01T12:00")
    rig.source.seen = lambda: rig.now - behind
    collector = rig.windowed(
        grain="1d", start=at("2026-01-01"), grace=5 * MINUTE, schedule=Cron("5 0 * * *")
    )
    rig.start(collector)
    rig.until("2026-01-02T00:04")
    rig.exactly(2 * MINUTE)
    rig.until("2026-01-02T23:00")
    ((moment, window),) = rig.source.asked
    assert window == at("2026-01-01")
    due = at("2026-01-02T00:05") + behind
    assert due <= moment <= due + max(MINUTE, timedelta(milliseconds=50))
    if behind < MINUTE:
        assert moment - due <= timedelta(milliseconds=50)
    assert rig.sink.starts == [at("2026-01-01")]


def test_a_source_that_is_down_at_the_tick(rig: Rig) -> None:
    """A source down for ten minutes at the tick is read the same night."""
    rig.until("2026-01-01T12:00")
    rig.source.down = Unavailable("no route")
    collector = rig.windowed(grain="1d", start=at("2026-01-01"), schedule=Cron("5 0 * * *"))
    rig.start(collector)
    rig.until("2026-01-02T00:15")
    assert [str(each)[11:16] for each in rig.source.opened] == ["00:05", "00:06", "00:08", "00:12"]
    rig.source.down = None
    rig.until("2026-01-02T01:00")
    assert rig.source.asked == [(at("2026-01-02T00:20"), at("2026-01-01"))]
    assert rig.outcomes() == ["unreachable"] * 4 + ["read"]
    rig.until("2026-01-04T00:00")
    assert rig.source.asked[1:] == [(at("2026-01-03T00:05"), at("2026-01-02"))]


def test_a_tick_within_the_grace(rig: Rig) -> None:
    """A window that ended before the tick is read once its grace is over, not a day later."""
    rig.until("2026-01-01T12:00")
    rig.start(
        rig.windowed(grain="1d", start=at("2026-01-01"), grace=HOUR, schedule=Cron("0 0 * * *"))
    )
    rig.until("2026-01-03T00:00")
    assert rig.source.asked == [(at("2026-01-02T01:00"), at("2026-01-01"))]


def test_a_restart_within_the_grace(rig: Rig) -> None:
    """A process that was away at the tick, and comes back within the grace, opens its pass."""
    rig.until("2026-01-02T00:20")
    rig.start(
        rig.windowed(grain="1d", start=at("2026-01-01"), grace=HOUR, schedule=Cron("0 0 * * *"))
    )
    rig.until("2026-01-03T00:00")
    assert rig.source.asked == [(at("2026-01-02T01:00"), at("2026-01-01"))]


def test_windows_wait_for_the_tick(rig: Rig) -> None:
    """With a schedule windows are read at its ticks: all that ended before, oldest first."""
    rig.start(rig.windowed(start=at("2026-01-01"), schedule=Cron("30 */4 * * *")))
    rig.until("2026-01-01T09:00")
    assert rig.source.windows == hours(0, 1, 2, 3, 4, 5, 6, 7)
    assert set(rig.source.times) == {at("2026-01-01T04:30"), at("2026-01-01T08:30")}


def test_a_start_goes_by_the_last_tick(rig: Rig) -> None:
    """At start the pass of the tick that was missed is opened, not one of now."""
    rig.until("2026-01-01T07:00")
    rig.start(rig.windowed(start=at("2026-01-01"), schedule=Cron("30 */4 * * *")))
    rig.until("2026-01-01T08:00")
    assert rig.source.windows == hours(0, 1, 2, 3)
    rig.stop()
    rig.start(rig.windowed(start=at("2026-01-01"), schedule=Cron("30 */4 * * *")))
    rig.until("2026-01-01T08:29")
    assert len(rig.source.asked) == 4
    rig.until("2026-01-01T08:31")
    assert rig.source.windows == hours(*range(8))


def test_down_for_forty_days(rig: Rig) -> None:
    """After 40 days all 40 days arrive, in order, each with its own bucket."""
    rig.start(rig.windowed(grain="1d", start=at("2025-12-31")))
    rig.advance(HOUR)
    rig.stop()
    rig.sink.taken.clear()
    rig.advance(40 * DAY)
    rig.start(rig.windowed(grain="1d"))
    rig.advance(MINUTE)
    assert rig.sink.starts == [at("2026-01-01") + day * DAY for day in range(40)]
    assert len({metric.uuid for metric in rig.sink.taken}) == 40


def test_catch_up(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """With `catch_up: 3` three of 40 arrive, 37 are skipped, said once, and open to backfill."""
    rig.start(rig.windowed(grain="1d", start=at("2025-12-31"), catch_up=3))
    rig.advance(HOUR)
    rig.stop()
    rig.sink.taken.clear()
    rig.advance(40 * DAY)
    collector = rig.windowed(grain="1d", catch_up=3)
    runner = rig.start(collector)
    rig.advance(2 * DAY)
    days = [at("2026-01-01") + day * DAY for day in range(42)]
    assert rig.sink.starts == days[37:]
    assert rig.coverage(collector).skipped.spans == ((days[0], days[37]),)
    (said,) = (line for line in caplog.messages if "skipped" in line)
    assert said == (
        "core.test: skipped 37 windows, from 2026-01-01T00:00:00Z to 2026-02-07T00:00:00Z, as "
        "catch_up says (`signals backfill` reads them)"
    )
    rig.sink.taken.clear()
    rig.call(lambda: runner.backfill("core.test", days[0], days[37]))
    assert rig.sink.starts == days[:37]
    assert not rig.coverage(collector).skipped


def test_catch_up_spares_what_was_not_missed(rig: Rig) -> None:
    """Windows that ended since the last tick were not missed, however many they are."""
    collector = rig.windowed(
        start=at("2026-01-01"), catch_up=3, revise=[30 * HOUR], schedule=Cron("30 0 * * *")
    )
    rig.start(collector)
    rig.until("2026-01-03T01:00")
    assert set(rig.source.windows) == set(hours(*range(48)))
    rig.source.down = Unavailable("no route")
    rig.runner.close()
    rig.source.opened.clear()
    rig.start(collector)
    rig.until("2026-01-05T00:45")
    rig.source.down = None
    rig.until("2026-01-05T03:00")
    skipped = rig.coverage(collector).skipped.spans
    assert skipped == ((at("2026-01-03"), at("2026-01-04")),)


def test_revisions(rig: Rig) -> None:
    """A window is read again at each level; the correction keeps its uuid and comes later."""
    rig.start(rig.windowed(start=at("2026-01-01"), grace=MINUTE, revise=[HOUR, DAY]))
    rows = [{"value": 1, "group": "a"}, {"value": 2, "group": "b"}]
    rig.source.answer = lambda request: rows if request.window.start == at("2026-01-01") else []
    rig.until("2026-01-01T01:30")
    rows[:] = [{"value": 5, "group": "a"}]
    rig.until("2026-01-02T02:00")
    first = [moment for moment, start in rig.source.asked if start == at("2026-01-01")]
    assert first == [at("2026-01-01T01:01"), at("2026-01-01T02:00"), at("2026-01-02T01:00")]
    told = [(metric.tags["group"], metric.value) for metric in rig.sink.taken]
    assert told == [("a", 1), ("b", 2), ("a", 5), ("b", None)]
    assert sorted(rig.sink.newest.values(), key=str) == [5, None]
    before, after = rig.sink.taken[0], rig.sink.taken[2]
    assert before.uuid == after.uuid and before.timestamp < after.timestamp
    assert rig.outcomes().count("unchanged") >= 1


def test_eight_days_down_with_revisions(rig: Rig) -> None:
    """After eight days down each window is read no more often than its levels need."""
    revise = [HOUR, DAY]
    rig.start(rig.windowed(start=at("2026-01-01"), revise=revise))
    rig.until("2026-01-01T06:30")
    rig.stop()
    rig.source.asked.clear()
    rig.until("2026-01-09T06:30")
    rig.start(rig.windowed(revise=revise))
    rig.advance(5 * MINUTE)
    counts = {start: rig.source.windows.count(start) for start in rig.source.windows}
    assert set(counts) == set(hours(*range(8 * 24 + 6)))
    assert set(counts.values()) == {1}
    rig.advance(2 * DAY)
    counts = {start: rig.source.windows.count(start) for start in rig.source.windows}
    assert max(counts.values()) == 3
    assert all(counts[start] == 1 for start in hours(*range(8 * 24 - 20)))


def test_window_three_of_ten_divides_by_zero(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """Nine windows are delivered, one is listed with its reason; mended, it is made up unasked."""

    def answer(request):
        if request.window.start == at("2026-01-01T02:00"):
            raise ArithmeticError("division by zero")
        return one(request)

    rig.source.answer = answer
    rig.until("2026-01-01T10:30")
    collector = rig.windowed(start=at("2026-01-01"))
    rig.start(collector)
    rig.advance(MINUTE)
    assert rig.sink.starts == hours(0, 1, 3, 4, 5, 6, 7, 8, 9)
    ((start, failure),) = rig.coverage(collector).failures.items()
    assert (start, failure.reason) == (at("2026-01-01T02:00"), "ArithmeticError: division by zero")
    rig.until("2026-01-01T16:30")
    tries = [moment for moment, start in rig.source.asked if start == at("2026-01-01T02:00")]
    minutes = [(after - before) // MINUTE for before, after in pairwise(tries)]
    assert minutes == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert rig.sink.starts[9:] == hours(10, 11, 12, 13, 14, 15)
    assert len([each for each in caplog.records if each.levelno == logging.ERROR]) == 1
    rig.source.answer = one
    rig.advance(HOUR)
    assert at("2026-01-01T02:00") in rig.sink.starts
    assert not rig.coverage(collector).failures


def test_windows_that_fail_now_and_then(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """The first is told with its window; for the same reason, then, the 10th and the 100th."""

    def answer(request):
        if request.window.start.second == 10:
            raise ValueError("1 / 0")
        return [{"value": 1}]

    rig.source.answer = answer
    rig.start(rig.windowed(grain="10s", start=rig.now))
    rig.exactly(15 * MINUTE)
    assert [each.message for each in caplog.records if each.levelno == logging.ERROR] == [
        "core.test: window 2026-01-01T00:00:10Z/2026-01-01T00:00:20Z: 1 / 0",
        (
            "core.test: 10 windows have failed by now, the last of them "
            "2026-01-01T00:09:10Z/2026-01-01T00:09:20Z: 1 / 0"
        ),
    ]
    rig.source.answer = lambda request: [{"value": 1}]
    rig.advance(2 * HOUR)
    rig.source.answer = answer
    caplog.clear()
    rig.exactly(3 * MINUTE)
    (said,) = [each.message for each in caplog.records if each.levelno == logging.ERROR]
    assert said.startswith("core.test: window 2026-01-01T02:1") and said.endswith("Z: 1 / 0")


def test_failures_outlive_a_restart(rig: Rig) -> None:
    """A window that failed is retried by the next process too."""
    rig.source.answer = lambda request: 1 / 0
    rig.start(rig.windowed(start=at("2025-12-31T23:00")))
    rig.until("2026-01-01T00:02")
    rig.stop()
    rig.source.answer = one
    rig.start(rig.windowed())
    rig.advance(3 * MINUTE)
    assert rig.sink.starts == hours(-1)


def test_a_clock_a_year_ahead(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """With a watermark a clock a year ahead records nothing, warns once, and harms nothing."""
    rig.source.seen = lambda: rig.now - 365 * DAY
    rig.until("2026-01-01T00:30")
    rig.clock.step_wall(365 * DAY.total_seconds())
    collectors = [rig.windowed("core.one", revise=[HOUR]), rig.windowed("core.two")]
    rig.start(*collectors)
    rig.advance(30 * MINUTE)
    assert rig.sink.starts == hours(-1, -1)
    behind = [line for line in caplog.messages if "is behind, or the clock here" in line]
    assert len(behind) == 1 and " up to 8760h ago only" in behind[0]
    rig.clock.step_wall(-365 * DAY.total_seconds())
    rig.source.seen = lambda: None
    rig.until("2026-01-01T03:02")
    assert rig.source.windows.count(at("2026-01-01T00:00")) == 3  # one, with its revision, and two
    assert rig.coverage(collectors[1]).covered.spans == (tuple(hours(-1, 3)),)


def test_a_clock_set_back(rig: Rig) -> None:
    """After the clock was set back nothing is read twice, and versions go on."""
    rig.start(rig.windowed(start=at("2026-01-01")))
    rig.until("2026-01-01T06:30")
    rig.clock.step_wall(-5 * HOUR.total_seconds())
    rig.advance(8 * HOUR)
    assert rig.source.windows == hours(*range(9))
    versions = [metric.timestamp for metric in rig.sink.taken]
    assert versions == sorted(set(versions))


def test_a_clock_that_trembles(rig: Rig) -> None:
    """A tick that has come is run though the clock has gone back by a little, and run once."""
    level = rig.snapshot()
    daemon = rig.start(level)._daemon
    rig.exactly(2 * MINUTE)
    rig.exactly(MINUTE - timedelta(milliseconds=3))
    daemon._turns._fire(daemon._members[level.id], rig.now + timedelta(milliseconds=3))
    rig.exactly(MINUTE + timedelta(milliseconds=3))
    assert level.source.times[-2:] == [at("2026-01-01T00:02:59.997"), at("2026-01-01T00:04:00")]


def test_a_coverage_that_is_not_as_it_was(rig: Rig) -> None:
    """A collector goes on from what the store has, should that not be what it takes it for."""
    collector = rig.windowed(start=at("2026-01-01"))
    runner = rig.start(collector)
    rig.until("2026-01-01T02:30")
    known = rig.coverage(collector)
    window = collector.buckets.window(at("2026-01-01T02:00"))
    after = known.after_reading(window, collector.window, rig.now + HOUR)
    runner._daemon._store.save_coverage(key_of(collector), known, after)
    rig.until("2026-01-01T05:30")
    assert rig.sink.starts == hours(0, 1, 3, 4)
    assert rig.coverage(collector).covered.spans == (tuple(hours(0, 5)),)


def test_retries_after_a_clock_was_set_back(rig: Rig) -> None:
    """What was to be tried again by a clock that was a year ahead does not wait a year."""
    rig.clock.step_wall(365 * DAY.total_seconds())
    rig.source.down = Unavailable("no route")
    rig.start(rig.windowed(start=at("2025-12-31T22:00")))
    rig.advance(10 * MINUTE)
    rig.clock.step_wall(-365 * DAY.total_seconds())
    rig.source.down = None
    rig.advance(10 * MINUTE)
    assert rig.sink.starts == hours(-2, -1)


def test_failures_of_a_clock_that_was_ahead(rig: Rig) -> None:
    """A window that failed while the clock was ahead is tried again within the hour."""
    rig.clock.step_wall(2 * HOUR.total_seconds())
    rig.source.answer = lambda request: 1 / 0
    rig.start(rig.windowed(start=at("2025-12-31T22:00")))
    rig.advance(2 * MINUTE)
    rig.stop()
    rig.clock.step_wall(-2 * HOUR.total_seconds())
    rig.source.answer = one
    rig.start(rig.windowed())
    rig.advance(5 * MINUTE)
    assert rig.sink.starts[:2] == hours(-2, -1)


ZONES = [
    ("Europe/Paris", "2026-03-28", 3, [24, 23, 24]),
    ("Europe/Paris", "2026-10-24", 3, [24, 25, 24]),
    ("America/New_York", "2026-03-07", 3, [24, 23, 24]),
    ("Australia/Lord_Howe", "2026-04-04", 3, [24, 24.5, 24]),
    ("Pacific/Apia", "2011-12-29", 3, [24, 24]),
]


@pytest.mark.parametrize(("zone", "first", "days", "lengths"), ZONES)
def test_daylight_saving(rig: Rig, zone: str, first: str, days: int, lengths: list) -> None:
    """Days are read whole and once, whatever the clocks do, and a day that never was is none."""
    start = Grain.parse("1d", zone).window(at(f"{first}T12:00")).start
    rig.clock.step_wall((start + 12 * HOUR - rig.now).total_seconds())
    given = {"grain": "1d", "timezone": zone, "start": start}
    other = rig.base("cron")
    rig.start(
        rig.windowed("core.due", **given),
        rig.windowed("core.cron", **given, source=other, schedule=Cron("5 0 * * *")),
    )
    rig.advance(sum(lengths) * HOUR)
    starts = [start + sum(lengths[:day]) * HOUR for day in range(len(lengths))]
    ends = [*starts[1:], starts[-1] + lengths[-1] * HOUR]
    assert rig.source.asked == [
        (end + MINUTE, begin) for begin, end in zip(starts, ends, strict=True)
    ]
    assert other.windows == starts
    late = {moment - end for moment, end in zip(other.times, ends, strict=True)}
    assert late <= {MINUTE, 5 * MINUTE}  # a tick in a day that never was comes right after it
    told = {(metric.grain_datetime, metric.window_end) for metric in rig.sink.taken}
    assert told == set(zip(starts, ends, strict=True))


def test_an_early_backfill_does_not_poll(rig: Rig) -> None:
    """A window that failed before its grace is over waits for that, and is not asked for."""
    collector = rig.windowed(grace=6 * HOUR)
    runner = rig.start(collector)
    rig.advance(MINUTE)
    asked: list[int] = []

    def seen():
        asked.append(1)

    rig.source.seen = seen
    rig.source.answer = lambda request: 1 / 0
    rig.call(lambda: runner.backfill("core.test", at("2025-12-31T23:00"), at("2026-01-01")))
    asked.clear()
    rig.source.answer = one
    rig.until("2026-01-01T04:59")
    assert len(asked) < 10
    rig.until("2026-01-01T06:02")
    assert rig.sink.starts.count(at("2025-12-31T23:00")) == 1


def test_nothing_is_said_while_all_is_well(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """A day on which all is well leaves no line in the log."""
    caplog.set_level(logging.INFO)
    rig.start(rig.windowed(revise=[HOUR]), rig.snapshot())
    rig.advance(3 * HOUR)
    assert caplog.messages == []


def test_a_query_that_fails_all_day(rig: Rig) -> None:
    """A query that fails costs its source few tries an hour; mended, it is made up at once."""
    rig.source.answer = lambda request: 1 / 0
    collector = rig.windowed(grain="5m", start=at("2026-01-01"), grace=timedelta(0))
    rig.start(collector)
    rig.until("2026-01-01T09:00")
    tries = [moment for moment in rig.source.times if moment > at("2026-01-01T08:00")]
    assert len(tries) <= 12 + 12  # what is new, and one try in five minutes
    rig.source.answer = one
    rig.advance(6 * MINUTE)
    assert len(set(rig.sink.starts)) == len(rig.sink.starts) == 9 * 12 + 1
    assert not rig.coverage(collector).failures


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what is shown at every level, and forget it."""
    said = [each.getMessage() for each in caplog.records if each.name == "signals.run"]
    caplog.clear()
    return said


def test_a_catch_up_is_said(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """That more than one missed window is made up is said once, and that it is done once."""
    caplog.set_level(logging.INFO, "signals.run")
    rig.start(rig.windowed())
    rig.until("2026-01-01T02:30")
    rig.stop()
    rig.until("2026-01-01T04:30")
    rig.start(rig.windowed())
    rig.advance(MINUTE)
    rig.stop()
    assert events(caplog) == []  # one was missed, and one has just fallen due
    rig.until("2026-01-01T08:30")
    rig.source.answer = lambda request: (
        1 / 0 if request.window.start == hours(6)[0] else one(request)
    )
    rig.start(rig.windowed())
    rig.advance(HOUR)
    assert events(caplog) == [
        "core.test: makes up 3 windows, from 2026-01-01T04:00:00Z to 2026-01-01T07:00:00Z",
        "core.test: has caught up, but for failed windows: 1",
    ]


def test_what_a_tick_reads_is_no_catch_up(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """With a schedule the windows since the last tick were not missed; those before it were."""
    caplog.set_level(logging.INFO, "signals.run")
    collector = rig.windowed(start=at("2026-01-01"), schedule=Cron("30 */4 * * *"))
    rig.start(collector)
    rig.until("2026-01-01T09:00")
    assert events(caplog) == []
    rig.source.down = Unavailable("no route")
    rig.runner.close()
    rig.start(collector)
    rig.until("2026-01-01T16:45")
    rig.source.down = None
    rig.until("2026-01-01T18:00")
    assert events(caplog) == [
        "core.test: makes up 4 windows, from 2026-01-01T08:00:00Z to 2026-01-01T12:00:00Z",
        "core.test: has caught up",
    ]
