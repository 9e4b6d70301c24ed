"""What is said of collectors: the words of `status`, against what the runner did."""

from __future__ import annotations

from parts.running import HOUR, MINUTE, Rig, at
from signals_core import Collector
from signals_core.findings import Finding, of_collectors


def finding(rig: Rig, collector: Collector) -> Finding:
    """Return what is said of a collector now."""
    with rig.store() as store:
        (found,) = of_collectors(store, [collector], [], rig.now, is_running=True)
    return found


def test_a_series_that_begins_anew_is_no_trouble(rig: Rig) -> None:
    """After a change of the grain the run of the series before is not told as a trouble."""
    rig.start(rig.windowed(start=at("2025-12-31T20:00")))
    rig.until("2026-01-01T02:30")
    found = finding(rig, rig.windowed(grain="1w"))
    assert (found.state, found.remarks) == ("no run yet", ())


def test_many_failures(rig: Rig) -> None:
    """While many windows have failed, it is said how slowly they and the ones behind are tried."""
    collector = rig.windowed(start=at("2025-12-30"))
    rig.source.answer = lambda request: [{"value": 1 / 0}]
    rig.start(collector)
    rig.until("2026-01-01T00:01")
    few = finding(rig, collector).remarks
    assert "tried once, again at 2026-01-01T00:0" in few[0]
    assert "those before them failed, so one is tried every 1m (once one can be" in few[-1]
    rig.until("2026-01-01T00:30")
    many = finding(rig, collector).remarks
    assert " that are tried one at a time, every 5m: once it is mended" in many[0]
    rig.source.answer = lambda request: [{"value": 1}]
    rig.advance(HOUR + 10 * MINUTE)
    assert finding(rig, collector).remarks == []
