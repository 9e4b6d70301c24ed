"""What a daemon of two hundred collectors and ten sinks shows, in CPU time."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from benchmarks.measure import Figure, in_turn
from signals_core.facts import Configured
from signals_core.web.app import Request
from signals_core.web.site import Site
from signals_core.web.telemetry import Telemetry

COLLECTORS = 200
SINKS = 10
RUNS = 20
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


@contextmanager
def busy() -> Iterator[Site]:
    """Run collectors for some minutes of a clock that is moved; three in four have windows.

    One sink is down, so that something waits.
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
        runner = rig.start(*collectors)
        rig.advance(timedelta(minutes=3))
        try:
            yield Site(runner, rig.folder, Configured(rig.now))
        finally:
            rig.stop()


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
