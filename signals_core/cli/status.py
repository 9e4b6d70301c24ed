"""`signals status`: what is late, and why."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve, frozen

from signals_core.cli.cells import aligned, cells, iso, print_table
from signals_core.cli.options import json_option
from signals_core.cli.output import Output
from signals_core.cli.state import holder_of, no_room_in
from signals_core.cli.target import Target, state_options

if TYPE_CHECKING:
    from signals_core.collector import Collector
    from signals_core.config import Loaded
    from signals_core.findings import Finding, SinkState
    from signals_core.store import OutboxLine, Paused, TakenUp

_COLLECTORS = ("COLLECTOR", "STATE", "LAST RUN", "READ UNTIL", "LATE", "MISSING", "SKIPPED")
_SINKS = ("SINK", "STATE", "PENDING", "OLDEST", "DEAD LETTERS", "MISSES")


@click.command()
@click.option("--watch", is_flag=True, help="Show it again every 2 s, in place; Ctrl-C ends it.")
@json_option
@state_options
@click.make_pass_decorator(Output)
def status(output: Output, target: Target, *, watch: bool, as_json: bool) -> int:
    """Show what is late, and why: collectors, sinks, and what to do about what is wrong.

    It only looks, whether `signals run` is running or not, and exits with 0 whatever it shows.

    \b
    Examples:
      signals status
      signals status --watch
      signals status --state-dir /var/lib/signals --json
    """
    if watch:
        return _watched(target, as_json=as_json)
    folder, loaded = target.found()
    found = seen(folder, loaded)
    if as_json:
        output.json(found.as_json())
        return 0
    print_table(output, _COLLECTORS, map(_collector_cells, found.collectors))
    if found.sinks:
        output.data("")
        print_table(output, _SINKS, (_sink_cells(*each) for each in found.sinks))
    if found.remarks:
        output.data("")
    for remark in found.remarks:
        output.data(remark)
    for said in found.beside:
        output.say(said)
    return 0


@frozen
class Seen:
    """What a state directory and a project tell at one moment."""

    holder: str | None
    collectors: Sequence[Finding]
    sinks: Sequence[tuple[OutboxLine, SinkState, Sequence[str]]]
    problems: Sequence[str]
    reload: Sequence[str]
    has_project: bool
    unresolved: int = 0
    no_room: str | None = None

    @property
    def remarks(self) -> list[str]:
        """What is not as it should be, and what to do about it."""
        from signals_core.findings import of_problem

        remarks = [self.no_room] if self.no_room else []
        remarks += [remark for each in self.collectors for remark in each.remarks]
        remarks += [remark for _, _, said in self.sinks for remark in said]
        return remarks + [of_problem(each) for each in self.problems] + list(self.reload)

    @property
    def beside(self) -> Iterator[str]:
        """What is to be said beside the facts."""
        from signals_core.phrases import counted

        if self.holder is None:
            yield "no process has the state directory: nothing runs (start `signals run`)"
        if not self.has_project:
            yield "without a project no windows are shown (name one with -c)"
        if self.unresolved:
            count = counted(self.unresolved, "reference")
            yield (
                f"not judged: {count} to what is not set in this shell "
                "(`signals config validate` names them)"
            )

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {
            "process": self.holder,
            "collectors": [_finding_as_json(each) for each in self.collectors],
            "sinks": [_sink_as_json(*each) for each in self.sinks],
            "problems": list(self.problems),
            "reload": list(self.reload),
            "no_room": self.no_room,
        }

    def lines(self) -> Iterator[str]:
        """Yield it as a terminal shows it: first those collectors of which there is more to say."""
        ordered = sorted(self.collectors, key=lambda each: each.state == "ok")
        yield from aligned(_COLLECTORS, map(_collector_cells, ordered))
        if self.sinks:
            yield ""
            yield from aligned(_SINKS, (_sink_cells(*each) for each in self.sinks))


def seen(folder: Path, loaded: Loaded | None, free: Callable[[Path], int] | None = None) -> Seen:
    """Look at a state directory. Raises `StoreError` when it cannot be read.

    `free` returns how many bytes there is room for, else the system is asked.
    """
    from datetime import UTC, datetime

    from signals_core.findings import of_collectors, of_configuration, of_sink
    from signals_core.store import Store

    holder = holder_of(folder)
    with Store.look(folder) as store:
        is_running = holder is not None
        taken = store.taken_up() if is_running else None
        known = _known(loaded, taken)
        now = datetime.now(UTC)
        findings = of_collectors(store, known.collectors, known.others, now, is_running=is_running)
        found = [known.judged(each) for each in findings]
        sinks = [(line, *of_sink(line)) for line in store.outbox()]
    told = list(taken.problems) if taken and taken.is_taken else []
    here = loaded.problems if loaded else []
    problems = dict.fromkeys((*told, *(str(each) for each in here if not each.warning)))
    reload = list(of_configuration(taken)) if taken else []
    unresolved = sum(each.warning and str(each) not in told for each in here)
    return Seen(
        holder,
        found,
        sinks,
        list(problems),
        reload,
        loaded is not None,
        unresolved,
        no_room_in(folder, free),
    )


@frozen
class _Known:
    """Which collectors to tell of: those that could be built here, and the names of `others`.

    `left_out` are those of them that do not run. `collectors` is None where nobody knows.
    """

    collectors: Sequence[Collector] | None
    others: Sequence[str]
    left_out: Collection[str]

    def judged(self, finding: Finding) -> Finding:
        """Return a finding as that of a collector that may run, although it is not known here."""
        is_unsure = finding.state == "left out" and finding.collector not in self.left_out
        return evolve(finding, state="unknown") if is_unsure else finding


def _known(loaded: Loaded | None, taken: TakenUp | None) -> _Known:
    """Tell the collectors apart.

    A reference that leads nowhere in this shell says nothing of the process that runs: it has noted
    itself whom it left out.
    """
    if loaded is None:
        return _Known(None, (), ())
    if taken is None:
        left_out = [name for name in loaded.unsound if name not in loaded.waiting]
        return _Known([each.collector for each in loaded.collectors], loaded.unsound, left_out)
    collectors = [
        each.collector
        for each in loaded.collectors
        if each.collector.name not in taken.left_out
        and not (each.unresolved and each.collector.name in taken.kept_back)
    ]
    names = {each.name for each in collectors}
    kept = [name for name in taken.kept_back if name not in names]
    others = dict.fromkeys((*taken.left_out, *loaded.unsound, *kept))
    return _Known(collectors, list(others), taken.left_out)


def _watched(target: Target, *, as_json: bool) -> int:
    if as_json or not sys.stdout.isatty():
        raise click.UsageError(
            "--watch draws at a terminal (for a program: call `signals status --json` again)"
        )
    from rich.console import Console

    from signals_core.cli.invoke import ended_by_signals
    from signals_core.cli.watch import watch

    target.found()  # where nothing leads to a state directory, that is said at once
    with ended_by_signals():
        watch(Console(), target)
    return 0


def _collector_cells(finding: Finding) -> list[str]:
    from signals_core.phrases import late

    return cells(
        finding.collector,
        finding.state,
        finding.last_run,
        finding.read_until,
        finding.late and late(finding.late),
        len(finding.missing) or None,
        finding.skipped or None,
    )


def _sink_cells(line: OutboxLine, state: SinkState, _: Sequence[str]) -> list[str]:
    return cells(
        line.sink,
        state,
        line.metrics,
        line.oldest,
        line.dead_letters or None,
        line.dropped or None,
    )


def _finding_as_json(finding: Finding) -> dict[str, Any]:
    missing = finding.missing
    return {
        "collector": finding.collector,
        "state": finding.state,
        "last_run": finding.last_run and iso(finding.last_run),
        "outcome": finding.outcome,
        "read_until": finding.read_until and iso(finding.read_until),
        "late_seconds": finding.late and finding.late.total_seconds(),
        "missing": len(missing),
        "first_missing": str(missing[0]) if missing else None,
        "failed": [
            {
                "window": str(each.window),
                "reason": each.reason,
                "attempts": each.attempts,
                "retry_at": iso(each.retry_at),
            }
            for each in finding.failures
        ],
        "skipped": finding.skipped,
        "paused": finding.paused and pause_as_json(finding.paused),
        "remarks": list(finding.remarks),
    }


def pause_as_json(pause: Paused) -> dict[str, Any]:
    """Return a pause as JSON can hold it."""
    return {
        "of": pause.of,
        "name": pause.name,
        "since": iso(pause.since),
        "until": pause.until and iso(pause.until),
        "reason": pause.reason,
    }


def _sink_as_json(line: OutboxLine, state: SinkState, remarks: Sequence[str]) -> dict[str, Any]:
    return {
        "sink": line.sink,
        "state": state,
        "pending": line.metrics,
        "bytes": line.bytes,
        "oldest": line.oldest and iso(line.oldest),
        "dead_letters": line.dead_letters,
        "misses": line.dropped,
        "suspended_since": line.suspended_since and iso(line.suspended_since),
        "failing_since": line.failing_since and iso(line.failing_since),
        "reason": line.reason,
        "remarks": list(remarks),
    }
