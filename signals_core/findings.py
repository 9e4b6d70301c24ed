"""What is to be said of collectors and sinks: how each is, and what is not as it should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from types import MappingProxyType
from typing import Any, Literal

from attrs import evolve, field, frozen

from signals_core.collector import Collector
from signals_core.coverage import Coverage
from signals_core.duration import format_duration
from signals_core.keys import key_of, sink_name
from signals_core.pausing import pause_of, until_text
from signals_core.phrases import counted, moment
from signals_core.retries import FEW, PAUSE, PAUSE_OF_NEW, Failure
from signals_core.store import OutboxLine, Paused, Run, Store, TakenUp
from signals_core.ticks import TickUnknown, late_after, tick_after
from signals_core.window import Window, iso

CollectorState = Literal[
    "ok",
    "late",
    "failing",
    "unreachable",
    "paused",
    "no run yet",
    "kept back",
    "left out",
    "gone",
    "unknown",
]
SinkState = Literal["ok", "failing", "suspended", "orphaned"]

_MANY = 10_000  # windows that are counted one by one
_SHOWN = 3  # failures that are told one by one


@frozen(kw_only=True)
class Finding:
    """How one collector is; `remarks` say what is wrong and what to do about it."""

    collector: str
    state: CollectorState
    last_run: datetime | None = None
    outcome: str | None = None
    read_until: datetime | None = None
    late: timedelta | None = None
    missing: Sequence[Window] = ()
    failures: Sequence[Failure] = ()
    skipped: int = 0
    paused: Paused | None = None
    remarks: Sequence[str] = field(factory=tuple)


def of_collectors(
    store: Store,
    collectors: Sequence[Collector] | None,
    left_out: Sequence[str],
    now: datetime,
    *,
    is_running: bool,
    watermarks: Mapping[str, datetime] = MappingProxyType({}),
) -> Iterator[Finding]:
    """Yield how each collector is: those that can run, those left out, those of the past.

    Without `collectors` nobody knows which there are. `watermarks` are by the ids of collectors, as
    far as they are known.
    """
    runs = store.last_runs()
    coverages = store.coverages()
    pauses = store.pauses(now)
    taken = store.taken_up() if is_running else None
    for each in collectors or ():
        run = runs.pop(each.id, None)
        known = None if each.window is None else coverages.get(key_of(each))
        shown = watermarks.get(each.id)
        try:
            found = _of_one(store, each, known, run, now, shown, is_running=is_running)
        except TickUnknown as error:
            found = _of_tickless(each, known, run, error)
        yield _paused(found, pause_of(each, pauses, now))
    for name in left_out:
        run = next((run for run in runs.values() if name in (run.name, run.collector)), None)
        if run:
            del runs[run.collector]
        is_kept = taken is not None and name in taken.kept_back
        yield _of_kept(name, run, taken) if taken and is_kept else _of_left_out(name, run)
    for run in runs.values():
        if taken and run.name in taken.kept_back:
            yield _of_kept(run.name, run, taken)
            continue
        yield Finding(
            collector=run.name, state="unknown" if collectors is None else "gone", **_of_run(run)
        )


def _of_left_out(name: str, run: Run | None) -> Finding:
    return Finding(collector=name, state="left out", **_of_run(run))


def _of_kept(name: str, run: Run | None, taken: TakenUp) -> Finding:
    remark = (
        f"{name}: had a mistake when it was read at {moment(taken.read_at)}, and runs in the form "
        "that it had before (mend it, and send SIGHUP again)"
    )
    return Finding(collector=name, state="kept back", remarks=[remark], **_of_run(run))


def _paused(found: Finding, pause: Paused | None) -> Finding:
    """Return a finding as that of a collector that is not read on purpose."""
    if pause is None:
        return found
    name = f"--source {pause.name}" if pause.of == "source" else found.collector
    through = f" with its source {pause.name}" if pause.of == "source" else ""
    remark = (
        f"{found.collector}: paused{through} since {moment(pause.since)}, {until_text(pause)}: "
        f"nothing is read (`signals resume {name}` ends that)"
    )
    return evolve(found, state="paused", paused=pause, remarks=[remark])


def of_configuration(taken: TakenUp) -> Iterator[str]:
    """Tell of a configuration that was read and not taken up."""
    if not taken.is_taken:
        yield (
            f"the configuration read at {moment(taken.read_at)} was not taken up, and what "
            f"ran before goes on: {'; '.join(taken.problems)} (mend it, and send SIGHUP again)"
        )


def of_sink(line: OutboxLine) -> tuple[SinkState, list[str]]:
    """Return the state of a sink, and what is to be said of it."""
    state: SinkState = "ok"
    remarks = []
    waiting = f"{counted(line.metrics, 'metric')} wait{'s' if line.metrics == 1 else ''} for it"
    if line.orphaned:
        state = "orphaned"
        remarks.append(
            f"sink {line.sink} is no longer configured, and {waiting} "
            f"(configure the name again, or end them with `signals outbox drop {line.sink}`)"
        )
    elif line.suspended_since:
        state = "suspended"
        remarks.append(
            f"sink {line.sink} takes nothing at all since {moment(line.suspended_since)}, and "
            f"{waiting}: {line.reason} (mend its address, its credentials or what it expects: it "
            "is tried again by itself)"
        )
    elif line.failing_since:
        state = "failing"
        remarks.append(
            f"sink {line.sink} fails since {moment(line.failing_since)}, and {waiting}: "
            f"{line.reason} (it is tried again by itself)"
        )
    if line.dead_letters:
        refused = counted(line.dead_letters, "metric")
        remarks.append(
            f"sink {line.sink} refused {refused} for good (`signals outbox list` says why; once it "
            f"takes them: `signals outbox retry {line.sink}`)"
        )
    if line.dropped:
        missed = counted(line.dropped, "reading")
        remarks.append(
            f"sink {line.sink} misses {missed}: its outbox was full, or was dropped (`signals "
            "outbox list` names them)"
        )
    return state, remarks


def of_problem(problem: str) -> str:
    """Say what is to be done about a mistake in the configuration."""
    return f"{problem}: mend it, and send SIGHUP to `signals run`"


def _of_run(run: Run | None) -> dict[str, Any]:
    return {"last_run": run.started, "outcome": run.outcome} if run else {}


def _of_tickless(
    collector: Collector, coverage: Coverage | None, run: Run | None, error: TickUnknown
) -> Finding:
    remark = (
        f"{collector.name}: its next tick is unknown: {error} (mend the schedule or give it "
        "another: it is asked again by itself)"
    )
    return Finding(
        collector=collector.name,
        state="failing",
        read_until=coverage.read_until if coverage else None,
        remarks=[remark],
        **_of_run(run),
    )


def _of_one(
    store: Store,
    collector: Collector,
    coverage: Coverage | None,
    run: Run | None,
    now: datetime,
    shown: datetime | None,
    *,
    is_running: bool,
) -> Finding:
    if collector.schedule is not None:
        tick_after(collector, now)  # a schedule that cannot tell is what is wrong first
    facts: dict[str, Any] = {"collector": collector.name, **_of_run(run)}
    if collector.window is None:
        return Finding(**facts, **_of_snapshot(collector, run, now))
    if coverage is None and collector.window.start and run and run.outcome == "unreachable":
        coverage = Coverage(collector.window.start)  # what it will be once its source is reached
    if coverage is None:
        return Finding(**facts, **_of_unseen(collector, run))
    owed = _owed(collector, coverage, now)
    facts |= _of_coverage(collector, coverage, owed, now)
    remarks = [
        *_of_failures(collector, coverage),
        *_of_missing(store, collector, coverage, owed, run, now, shown, is_running=is_running),
        *_of_skipped(collector, coverage),
    ]
    state: CollectorState = "ok"
    if run is None:
        state = "no run yet"
    elif coverage.failures:
        state = "failing"
    elif owed:
        state = "unreachable" if run.outcome == "unreachable" else "late"
    return Finding(state=state, remarks=remarks, **facts)


def _of_unseen(collector: Collector, run: Run | None) -> dict[str, Any]:
    """Tell of a collector whose windows are not known yet: its source was never reached.

    A run with an end that is no trouble is of the series that it was before its grain changed.
    """
    if run is None or run.outcome != "unreachable":
        return {"state": "no run yet"}
    remark = f"{collector.name}: {run.reason} (it is tried again by itself)"
    return {"state": "unreachable", "remarks": [remark]}


def _of_snapshot(collector: Collector, run: Run | None, now: datetime) -> dict[str, Any]:
    if run is None:
        return {"state": "no run yet"}
    if run.outcome in ("failed", "unreachable"):
        state = "failing" if run.outcome == "failed" else "unreachable"
        remark = f"{collector.name}: {run.reason} (it is tried again by itself)"
        return {"state": state, "remarks": [remark]}
    missed = late_after(collector, run.started)
    if missed > now:
        return {"state": "ok", "remarks": [f"{collector.name}: {run.reason}"] if run.reason else []}
    remark = f"{collector.name}: has not run since {moment(run.started)}"
    return {"state": "late", "late": now - missed, "remarks": [remark]}


def _of_coverage(
    collector: Collector, coverage: Coverage, owed: Sequence[Window], now: datetime
) -> dict[str, Any]:
    assert collector.window is not None
    until = coverage.read_until or coverage.start
    return {
        "read_until": coverage.read_until,
        "late": now - collector.window.grace - until if owed else None,
        "missing": owed,
        "failures": _failures(coverage),
        "skipped": len(_skipped(collector, coverage)),
    }


def _owed(collector: Collector, coverage: Coverage, now: datetime) -> list[Window]:
    """Return the windows that are due and not read, and whose tick has come."""
    grain, policy = collector.buckets, collector.window
    assert grain is not None
    assert policy is not None
    windows = list(islice(coverage.missing(grain, policy, now), _MANY))
    while windows and collector.schedule and tick_after(collector, windows[-1].end) > now:
        windows.pop()
    return windows


def _of_failures(collector: Collector, coverage: Coverage) -> Iterator[str]:
    failures = _failures(coverage)
    in_turn = f"one of {len(failures)} that are tried one at a time, every {format_duration(PAUSE)}"
    for failure in failures[:_SHOWN]:
        again = in_turn if len(failures) > FEW else f"again at {moment(failure.retry_at)}"
        yield (
            f"{collector.name}: window {failure.window}: {failure.reason} "
            f"(tried {_times(failure.attempts)}, {again}: once it is "
            "mended it is made up by itself)"
        )
    if more := failures[_SHOWN:]:
        yield (
            f"{collector.name}: {_windows(len(more))} more failed (`signals backfill "
            f"{collector.name} --start {iso(more[0].window.start)} --failed --plan` lists them)"
        )


def _of_missing(
    store: Store,
    collector: Collector,
    coverage: Coverage,
    owed: Sequence[Window],
    run: Run | None,
    now: datetime,
    shown: datetime | None,
    *,
    is_running: bool,
) -> Iterator[str]:
    missing = [each for each in owed if each.start not in coverage.failures]
    if not missing:
        return
    count = _windows(len(missing))
    span = f"{iso(missing[0].start)}/{iso(missing[-1].end)}"
    grain, policy = collector.buckets, collector.window
    assert grain is not None
    assert policy is not None
    why: str | None
    if is_running and coverage.holds_back(grain, now - policy.grace, now):
        why = (
            f"those before them failed, so one is tried every {format_duration(PAUSE_OF_NEW)} "
            "(once one can be read the others follow at once)"
        )
    else:
        why = _why_missing(store, collector, run, is_running=is_running)
        if why is None and shown is not None and shown < missing[0].end + policy.grace:
            why = (
                f"its source shows its data only up to {moment(shown)} (look at its replication, "
                "or at the job that fills it: they are made up by themselves)"
            )
    why = why or (
        "they are being made up, or the source does not show all their data yet "
        f"(`signals history {collector.name}` tells what happens)"
    )
    yield f"{collector.name}: {count} missing, {span}: {why}"


def _why_missing(
    store: Store, collector: Collector, run: Run | None, *, is_running: bool
) -> str | None:
    full = [name for name in collector.sinks if store.is_full(sink_name(collector, name))]
    if not is_running:
        return "no process runs (start `signals run`, which makes them up)"
    if run is not None and run.outcome == "unreachable":
        return f"{run.reason} (it is tried again by itself)"
    if full:
        return (
            f"the outbox of {full[0]} is full (it goes on once {full[0]} takes something; where "
            "dead letters fill it, once they are retried or dropped: see `signals outbox list`)"
        )
    return None


def _of_skipped(collector: Collector, coverage: Coverage) -> Iterator[str]:
    if windows := _skipped(collector, coverage):
        start, end = iso(windows[0].start), iso(windows[-1].end)
        yield (
            f"{collector.name}: {_windows(len(windows))} skipped, as catch_up says (`signals "
            f"backfill {collector.name} --start {start} --end {end}` reads them)"
        )


def _skipped(collector: Collector, coverage: Coverage) -> list[Window]:
    grain = collector.buckets
    assert grain is not None
    windows = (each for span in coverage.skipped.spans for each in grain.windows(*span))
    return list(islice(windows, _MANY))


def _failures(coverage: Coverage) -> list[Failure]:
    return [coverage.failures[start] for start in sorted(coverage.failures)]


def _windows(count: int) -> str:
    return f"{'more than ' if count == _MANY else ''}{counted(count, 'window')}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
