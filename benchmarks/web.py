"""What a daemon of two hundred collectors and ten sinks shows, in CPU time."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks.measure import Figure, in_turn
from signals_core import Collector, Window
from signals_core.coverage import Coverage, Intervals
from signals_core.distill import distill
from signals_core.facts import Configured
from signals_core.keys import key_of
from signals_core.store import Run, Store
from signals_core.web.app import Request
from signals_core.web.pages import Pages
from signals_core.web.site import Site
from signals_core.web.telemetry import Telemetry

COLLECTORS = 200
SINKS = 10
RUNS = 20
HOUR = timedelta(hours=1)
HOURS = 30
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


@contextmanager
def busy(*, has_past: bool = False) -> Iterator[Site]:
    """Run collectors for some minutes of a clock that is moved; three in four have windows.

    One sink is down, so that something waits. With a past the windowed ones have read a day of it.
    """
    from parts.running import Rig, Taker

    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder) / "state")
        sinks = {f"sink-{number}": Taker(f"sink-{number}") for number in range(SINKS)}
        sinks["sink-0"].down = ConnectionError("refused")
        each = {"sinks": sinks, "shared_sinks": list(sinks), "owner": "data-team"}
        collectors = [
            rig.windowed(f"shop.orders.{number}.1h", description="Orders by country.", **each)
            if number % 4
            else rig.snapshot(f"shop.level.{number}", **each)
            for number in range(COLLECTORS)
        ]
        if has_past:
            windowed = [each for each in collectors if each.window]
            remember(rig.folder, windowed, rig.now)
        runner = rig.start(*collectors)
        rig.advance(timedelta(minutes=3))
        try:
            yield Site(runner, rig.folder, Configured(rig.now))
        finally:
            rig.stop()


def remember(folder: Path, collectors: Sequence[Collector], now: datetime) -> None:
    """Have a store know the last hours of collectors: a reading of five countries for each."""
    rows = [{"country": country, "value": 1000} for country in ("de", "es", "fr", "it", "pl")]
    start = now - HOURS * HOUR
    after = Coverage(start, Intervals.of([(start, now)]))
    with Store.open(folder) as store:
        for each in collectors:
            for hour in range(HOURS):
                window = Window(start + hour * HOUR, start + (hour + 1) * HOUR)
                moment = window.end + timedelta(microseconds=hour - HOURS)
                reading = distill(each, rows, timestamp=moment, window=window)
                run = Run(collector=each.id, name=each.name, origin="signals bench",
                          started=moment, window=window, outcome="read", metrics=5)  # fmt: skip
                store.commit(reading, run=run, sinks=(), windowed=True)
            store.save_coverage(key_of(each), None, after)


def scrape() -> Figure:
    """Answer a scrape as OpenMetrics, against encoding as many gauges that stand ready."""
    from prometheus_client import CollectorRegistry, Gauge
    from prometheus_client.openmetrics.exposition import generate_latest

    with busy() as site:
        telemetry = Telemetry(site.runner, site.state_dir, lambda: site.configured)
        request = Request("/metrics", headers={"accept": OPEN_METRICS})
        body = telemetry.answer(request).body
        series = sum(1 for line in str(bytes(body), "utf-8").splitlines() if line[0] != "#")
        registry = CollectorRegistry()
        gauge = Gauge("bench", "As many.", ["collector", "of"], registry=registry)
        for number in range(series):
            gauge.labels(f"shop.orders.{number % COLLECTORS}.1h", str(number // COLLECTORS)).set(1)
        pairs = in_turn(
            lambda: telemetry.answer(request),
            lambda: generate_latest(registry),
            RUNS,
            clock=time.thread_time,
        )
    return Figure(
        f"a scrape of {COLLECTORS} collectors and {SINKS} sinks, {series:,} series",
        "prometheus-client alone, as many gauges",
        "ours at most 30 ms",
        "ms of CPU",
        [(ours * 1000, other * 1000) for ours, other in pairs],
        "what a scrape costs the daemon",
    )


def page() -> Figure:
    """Show the overview again after what is new was read, against the first look at all of it."""
    with busy(has_past=True) as site:
        request = Request("/")

        def pages() -> Pages:
            return Pages(site.runner, site.state_dir, lambda: site.configured)

        seen = pages()
        assert seen.overview(request).status == 200
        pairs = in_turn(
            lambda: seen.overview(request),
            lambda: pages().overview(request),
            RUNS,
            clock=time.thread_time,
        )
    return Figure(
        f"the status page of {COLLECTORS} collectors and {SINKS} sinks",
        "the first look, which reads the last values too",
        "ours at most 100 ms",
        "ms of CPU",
        [(ours * 1000, other * 1000) for ours, other in pairs],
        "what a look at the page costs the daemon",
    )
