"""The timer with ten thousand jobs, against APScheduler with as many.

Each in a process of its own, in turn, handing its jobs to a pool of the same size.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache
from statistics import quantiles

from attrs import frozen

from benchmarks.measure import Figure, Goal

JOBS = 10_000
PERIOD = timedelta(minutes=1)
SECONDS = 10.0
RUNS = 3
_THREADS = 10


@frozen
class Cost:
    """What one timer did: how late its jobs started, and what it cost, both in seconds."""

    lag: float
    cpu: float


def start_lag() -> Figure:
    """Return how late the latest hundredth of 10 000 jobs started."""
    pairs = [(ours.lag * 1000, other.lag * 1000) for ours, other in _pairs()]
    return Figure(
        "timer, 10 000 jobs a minute, lag p99",
        "APScheduler 3.11",
        Goal(2, "ms"),
        "ms",
        pairs,
        "Runs start on time, however many collectors there are.",
    )


def cpu() -> Figure:
    """Return the share of a core that 10 000 jobs take, with their pool."""
    pairs = [(ours.cpu / SECONDS, other.cpu / SECONDS) for ours, other in _pairs()]
    return Figure(
        "timer, 10 000 jobs a minute, CPU",
        "APScheduler 3.11",
        Goal(1.5),
        "cores",
        pairs,
        "Keeping time for all of them costs a few hundredths of a core.",
    )


@cache
def _pairs() -> list[tuple[Cost, Cost]]:
    return [(_cost_of("signals"), _cost_of("apscheduler")) for _ in range(RUNS)]


def _cost_of(name: str) -> Cost:
    command = [sys.executable, "-m", "benchmarks.timer", name]
    return Cost(**json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


class Lags:
    """How late each run started, seen from the run itself."""

    def __init__(self) -> None:
        self.lags: list[float] = []

    def note(self, first: float) -> None:
        """Note a run of the job whose first tick is `first`."""
        self.lags.append((time.time() - first) % PERIOD.total_seconds())


def _first_ticks(begin: datetime) -> list[datetime]:
    return [begin + PERIOD * number / JOBS for number in range(JOBS)]


def signals(begin: datetime, lags: Lags) -> Callable[[], None]:
    """Start our timer; what stops it."""
    from signals_core.clock import SystemClock
    from signals_core.timer import Timer

    pool = ThreadPoolExecutor(_THREADS)
    timer = Timer(SystemClock())

    def add(first: datetime) -> None:
        seconds = first.timestamp()

        def next_run(now: datetime) -> datetime:
            return first + max((now - first) // PERIOD + 1, 0) * PERIOD

        timer.add(str(first), next_run, lambda _: pool.submit(lags.note, seconds))

    for first in _first_ticks(begin):
        add(first)
    timer.start()
    return timer.stop


def apscheduler(begin: datetime, lags: Lags) -> Callable[[], None]:
    """Start APScheduler; what stops it."""
    from apscheduler.executors.pool import ThreadPoolExecutor as Pool
    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.triggers.interval import IntervalTrigger

    scheduler = BackgroundScheduler(executors={"default": Pool(_THREADS)}, timezone=UTC)
    for first in _first_ticks(begin):
        trigger = IntervalTrigger(seconds=60, start_date=first)
        scheduler.add_job(lags.note, trigger, args=(first.timestamp(),))
    scheduler.start()
    return scheduler.shutdown


def measure(start: Callable[[datetime, Lags], Callable[[], None]]) -> Cost:
    """Run one timer for a while, and see how late its jobs start and what that costs."""
    lags = Lags()
    begin = datetime.now(UTC) + timedelta(seconds=8)  # by then all jobs are there
    stop = start(begin, lags)
    time.sleep(max(0.0, begin.timestamp() - time.time()))
    early, cpu = len(lags.lags), time.process_time()
    time.sleep(SECONDS)
    cpu = time.process_time() - cpu
    started = lags.lags[early:]
    stop()
    expected = JOBS * SECONDS / PERIOD.total_seconds()
    assert abs(len(started) - expected) < 0.02 * expected, f"{len(started)} of {expected} started"
    return Cost(quantiles(started, n=100)[-1], cpu)


if __name__ == "__main__":
    cost = measure({"signals": signals, "apscheduler": apscheduler}[sys.argv[1]])
    print(json.dumps({"lag": cost.lag, "cpu": cost.cpu}))
