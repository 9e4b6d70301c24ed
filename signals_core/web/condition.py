"""How a collector is in numbers, from what the daemon knows: cheap enough for every scrape."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import define, field, frozen

from signals_core.collector import Collector
from signals_core.coverage import Coverage, within
from signals_core.facts import CollectorFacts, Facts
from signals_core.ticks import TickUnknown, late_after
from signals_core.window import Grain


@frozen(kw_only=True)
class Condition:
    """How one collector is; None for what does not apply to it, or is not known.

    The names are those of the telemetry.
    """

    last_success_timestamp_seconds: float | None = None
    late_seconds: float | None = None
    read_until_timestamp_seconds: float | None = None
    watermark_timestamp_seconds: float | None = None
    watermark_age_seconds: float | None = None
    missing_windows: int | None = None
    failed_windows: int | None = None
    skipped_windows: int | None = None
    paused: bool = False


@define(eq=False)
class _Known:
    """What was worked out for a collector, which stays as it is until its next success."""

    collector: Collector
    grain: Grain | None
    success: datetime | None = None
    missed_tick: datetime | None = None


@define(eq=False)
class Conditions:
    """Tells how collectors are, again and again: what is slow to work out is kept."""

    _known: dict[str, _Known] = field(factory=dict)

    def of(self, facts: Facts, successes: Mapping[str, datetime]) -> dict[str, Condition]:
        """Return the condition of each collector, by its id."""
        return {
            id_: self._of_one(each, successes.get(id_), facts.at)
            for id_, each in facts.collectors.items()
        }

    def _known_of(self, collector: Collector) -> _Known:
        known = self._known.get(collector.id)
        if known is None or known.collector is not collector:
            known = self._known[collector.id] = _Known(collector, collector.buckets)
        return known

    def _of_one(self, facts: CollectorFacts, success: datetime | None, now: datetime) -> Condition:
        known = self._known_of(facts.collector)
        if facts.coverage is not None:
            assert known.grain is not None
            return _of_windows(facts, facts.coverage, known.grain, success, now)
        is_paused = facts.pause is not None
        if success is None:
            return Condition(paused=is_paused)
        missed = _missed_tick(known, success)
        return Condition(
            last_success_timestamp_seconds=success.timestamp(),
            late_seconds=None if missed is None else max((now - missed).total_seconds(), 0.0),
            paused=is_paused,
        )


def _missed_tick(known: _Known, success: datetime) -> datetime | None:
    """Return when it is late after a success, worked out once; None while no schedule says."""
    if known.missed_tick is None or known.success != success:
        known.success = success
        try:
            known.missed_tick = late_after(known.collector, success)
        except TickUnknown:
            known.missed_tick = None
    return known.missed_tick


def _of_windows(
    facts: CollectorFacts,
    coverage: Coverage,
    grain: Grain,
    success: datetime | None,
    now: datetime,
) -> Condition:
    policy = facts.collector.window
    assert policy is not None
    read_until, watermark = coverage.read_until, facts.watermark
    missing = 0
    if facts.horizon is not None:
        due = min(now - policy.grace, facts.horizon)
        missing, _ = within(grain, coverage.new_spans(due))
    skipped, _ = within(grain, coverage.skipped.spans)
    late = now - policy.grace - (read_until or coverage.start)
    is_late = bool(missing or coverage.failures)
    return Condition(
        paused=facts.pause is not None,
        last_success_timestamp_seconds=None if success is None else success.timestamp(),
        late_seconds=max(late.total_seconds(), 0.0) if is_late else 0.0,
        read_until_timestamp_seconds=None if read_until is None else read_until.timestamp(),
        watermark_timestamp_seconds=None if watermark is None else watermark.shown.timestamp(),
        watermark_age_seconds=None if watermark is None else watermark.age.total_seconds(),
        missing_windows=missing,
        failed_windows=len(coverage.failures),
        skipped_windows=skipped,
    )
