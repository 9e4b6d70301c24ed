"""Failed windows: the brake on trying many of them, in a day of a collector's life."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from signals_core import Grain, Window, WindowPolicy
from signals_core.coverage import Coverage
from signals_core.retries import FEW, PAUSE, PAUSE_OF_NEW, Failure, next_retry, to_retry

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
POLICY = WindowPolicy(grace=timedelta())


@define
class Life:
    """A collector that does what its coverage says, at a source that takes no time to answer."""

    grain: Grain
    now: datetime = START
    coverage: Coverage = field(factory=lambda: Coverage(START))
    failed: list[datetime] = field(factory=list)
    read: list[Window] = field(factory=list)

    def live(self, until: datetime, broken: set[datetime] | None = None) -> None:
        """Live until then; the windows of these starts fail, all of them by default."""
        while (due := self._due()) is not None and due <= until:
            self.now = max(self.now, due)
            window = next(self.coverage.due(self.grain, POLICY, self.now, self.now))
            if broken is None or window.start in broken:
                self.failed.append(self.now)
                self.coverage = self.coverage.after_failure(window, "no", self.now)
            else:
                self.read.append(window)
                self.coverage = self.coverage.after_reading(window, POLICY, self.now)
        self.now = until

    def _due(self) -> datetime | None:
        return self.coverage.next_due(self.grain, POLICY, self.now, until=START + 999 * HOUR)

    def most_failed_in_an_hour(self, since: datetime) -> int:
        """Return the most failures of any hour that begins at one of them."""
        times = [time for time in self.failed if time >= since]
        return max(sum(start <= time < start + HOUR for time in times) for start in times)


def test_a_query_that_is_broken_for_days() -> None:
    """A broken query on a short grain is asked a bounded number of times an hour, for ever.

    Mended, it is made up within minutes, each window once.
    """
    life = Life(Grain.parse("30s"))
    life.live(START + 12 * HOUR)
    steady = HOUR // PAUSE_OF_NEW + HOUR // PAUSE
    assert life.most_failed_in_an_hour(START + HOUR) <= steady
    assert life.most_failed_in_an_hour(START) <= steady + FEW * 7
    life.live(life.now + PAUSE + MINUTE, broken=set())
    assert len(life.read) == len({each.start for each in life.read})
    assert life.coverage.covered.spans == ((START, life.now),)
    assert not life.coverage.failures


def test_a_broken_query_after_a_long_absence() -> None:
    """A backlog is not run through with a query that fails: ten tries, and then one a minute."""
    life = Life(Grain.parse("30s"), now=START + 12 * HOUR)
    life.live(life.now + timedelta(seconds=29))
    assert len(life.failed) == FEW
    life.live(life.now + 5 * MINUTE)
    assert len(life.failed) < FEW + 5 * (1 + FEW)


broken_windows = st.sets(st.integers(0, 79), max_size=80)


@given(broken_windows, st.sampled_from([60, 150]), st.integers(0, 3))
def test_whatever_fails_the_rest_is_read(numbers: set[int], seconds: int, hours: int) -> None:
    """Windows that fail keep no other from being read; mended, all is read in the end, once each.

    Failed tries are bounded by what the brake lets through and what has succeeded meanwhile.
    """
    grain = Grain.parse(f"{seconds}s")
    length = timedelta(seconds=seconds)
    broken = {START + number * length for number in numbers}
    life = Life(grain, now=START + hours * HOUR)
    life.live(START + 4 * HOUR, broken)
    count = 4 * HOUR // length
    assert len(life.read) == count - len(broken)
    retried = len(life.failed) - len(broken)
    few = FEW * 10  # a window by itself is tried less than 10 times in four hours
    assert retried <= few + 4 * HOUR / PAUSE + len(life.read)
    life.live(life.now + 2 * HOUR, set())
    assert {each.start for each in life.read} == {
        START + number * length for number in range(count + 2 * HOUR // length)
    }
    assert len(life.read) == count + 2 * HOUR // length


failures = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 9), st.integers(-90, 90)), max_size=25
)


@given(failures, st.integers(0, 5))
def test_the_next_retry_is_when_there_is_one(drawn: list[tuple[int, int, int]], grace: int) -> None:
    """A window is to be tried again exactly from the instant that is said of the next retry."""
    grain = Grain.parse("1m")
    failed = {}
    for number, attempts, minutes in drawn:
        window = grain.window(START + number * MINUTE)
        retry_at = START + (60 + minutes) * MINUTE
        failed[window.start] = Failure(window, "no", attempts, retry_at)
    now = START + 60 * MINUTE
    when = next_retry(failed, now, grace * MINUTE)
    assert (when is None) == (not failed)
    is_due = when is not None and when <= now
    assert is_due == bool(to_retry(failed, now, now - grace * MINUTE))


def test_one_bad_window_of_many_holds_up_none() -> None:
    """Of many failed windows the one that fails still comes last, however often others succeed."""
    life = Life(Grain.parse("30s"))
    life.live(START + 6 * HOUR)
    life.live(life.now + 2 * PAUSE + 2 * MINUTE, broken={START + HOUR})
    assert set(life.coverage.failures) == {START + HOUR}


def test_mended_all_follow_at_once() -> None:
    """When one of many failed windows is read, those follow that were to wait an hour."""
    life = Life(Grain.parse("1h"))
    life.live(START + 48 * HOUR, broken={START + number * HOUR for number in range(12)})
    assert len(life.coverage.failures) == 12
    life.live(life.now + PAUSE, broken=set())
    assert not life.coverage.failures
