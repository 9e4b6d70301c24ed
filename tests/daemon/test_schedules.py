"""Schedules that fail: the collectors of others run, and their own run once they answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from attrs import define, field

from parts.running import HOUR, MINUTE, Rig, at
from signals_core import Collector, Schedule
from signals_core.builtin.schedules import Interval
from signals_core.findings import Finding, of_collectors


@define(eq=False)
class Erring(Schedule):
    """Every five minutes, once it is mended."""

    mended: bool = field(init=False, default=False)
    asked: int = field(init=False, default=0)

    def next_after(self, moment: datetime) -> Any:
        self.asked += 1
        if not self.mended:
            raise ZeroDivisionError("division by zero")
        return Interval(5 * MINUTE).next_after(moment)


def finding(rig: Rig, collector: Collector) -> Finding:
    """Return what is said of a collector now."""
    with rig.store() as store:
        found, *_ = of_collectors(store, [collector], [], rig.now, is_running=True)
    return found


FORMS = pytest.mark.parametrize("form", ["snapshot", "windowed"])


def erring(rig: Rig, form: str) -> Collector:
    """Make a collector with a schedule that fails."""
    if form == "snapshot":
        return rig.snapshot("core.erring", schedule=Erring())
    source = rig.base("erring")
    return rig.windowed("core.erring", schedule=Erring(), source=source, start=at("2025-12-31"))


@FORMS
def test_a_schedule_that_fails_at_start(
    rig: Rig, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It takes no other collector down, `status` says why, and it runs once it answers."""
    broken = erring(rig, form)
    rig.start(broken, rig.snapshot("core.well"))
    rig.until("2026-01-01T00:30")
    assert len(rig.sink.taken) >= 30 and not broken.source.asked
    said = "core.erring: its next tick is unknown: the schedule Erring failed: ZeroDivisionError"
    assert [each.startswith(said) for each in caplog.messages].count(True) == 1
    assert broken.schedule.asked < 20
    found = finding(rig, broken)
    assert found.state == "failing"
    (remark,) = found.remarks
    assert remark == (
        "core.erring: its next tick is unknown: the schedule Erring failed: ZeroDivisionError: "
        "division by zero (mend the schedule or give it another: it is asked again by itself)"
    )
    broken.schedule.mended = True
    rig.until("2026-01-01T01:10")
    assert broken.source.asked and finding(rig, broken).state == "ok"


@FORMS
def test_a_schedule_that_fails_in_a_reload(rig: Rig, form: str) -> None:
    """A reload takes it up, new or changed, and the others go on."""
    well = rig.snapshot("core.well")
    runner = rig.start(well)
    broken, changed = erring(rig, form), rig.snapshot("core.well", schedule=Erring())
    rig.call(lambda: runner.reload([well, broken]))
    rig.advance(10 * MINUTE)
    taken = len(rig.sink.taken)
    assert taken >= 10 and finding(rig, broken).state == "failing"
    rig.call(lambda: runner.reload([changed, broken]))
    broken.schedule.mended = True
    rig.advance(HOUR)
    assert broken.source.asked and finding(rig, changed).state == "failing"


@FORMS
def test_a_schedule_that_fails_later(rig: Rig, form: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is asked ever less often, its trouble is said once an hour, and nothing runs meanwhile."""
    collector = erring(rig, form)
    collector.schedule.mended = True
    rig.start(collector)
    rig.until("2026-01-01T00:12")
    read = len(collector.source.asked)
    collector.schedule.mended, collector.schedule.asked = False, 0
    rig.until("2026-01-01T06:00")
    assert [each for each in caplog.messages if "could not be queued" in each] == []
    said = [each for each in caplog.messages if "its next tick is unknown" in each]
    assert 2 <= len(said) <= 7 and collector.schedule.asked < 40
    assert read <= len(collector.source.asked) <= read + 1
    collector.schedule.mended = True
    rig.until("2026-01-01T07:10")
    assert len(collector.source.asked) > read + 1
