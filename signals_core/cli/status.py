"""`signals status`, `history` and `explain`: what the state directory tells."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from signals_core.cli.options import complete_names, json_option
from signals_core.cli.output import Output, counted
from signals_core.cli.state import holder_of
from signals_core.cli.target import Target, state_options

if TYPE_CHECKING:
    from datetime import datetime

    from signals_core.cli.findings import Finding
    from signals_core.store import Found, OutboxLine, Run

_output = click.make_pass_decorator(Output)


@click.command()
@json_option
@state_options
@_output
def status(
    output: Output,
    target: Target,
    *,
    as_json: bool,
) -> int:
    """Show what is late, and why: collectors, sinks, and what to do about what is wrong.

    It only looks, whether `signals run` is running or not, and exits with 0 whatever it shows.

    \b
    Examples:
      signals status
      signals status --state-dir /var/lib/signals --json
    """
    from datetime import UTC, datetime

    from signals_core.cli.findings import of_collectors
    from signals_core.store import Store

    folder, loaded = target.found()
    holder = holder_of(folder)
    with Store.look(folder) as store:
        is_running = holder is not None
        found = list(of_collectors(store, loaded, datetime.now(UTC), is_running=is_running))
        lines = store.outbox()
    problems = [str(each) for each in loaded.problems] if loaded else []
    if as_json:
        collectors = [_finding_as_json(each) for each in found]
        sinks = _sinks_as_json(lines)
        output.json(
            {"process": holder, "collectors": collectors, "sinks": sinks, "problems": problems}
        )
        return 0
    _print_status(output, found, lines, problems)
    if holder is None:
        output.say("no process has the state directory: nothing runs (start `signals run`)")
    if loaded is None:
        output.say("without a project no windows are shown (name one with -c)")
    return 0


@click.command()
@click.argument("name", required=False, shell_complete=complete_names)
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=50,
    metavar="COUNT",
    show_default=True,
    help="The most runs to show.",
)
@json_option
@state_options
@_output
def history(
    output: Output,
    name: str | None,
    target: Target,
    limit: int,
    *,
    as_json: bool,
) -> int:
    """Show the runs of a collector, newest first; they are kept for 35 days.

    NAME may be a pattern such as 'shop.*': the runs of several collectors are shown as they
    happened.

    \b
    Examples:
      signals history shop.orders.1d --limit 10
      signals history 'shop.*' --json
    """
    from signals_core.cli.choice import picked
    from signals_core.store import Store

    folder, loaded = target.found()
    with Store.look(folder) as store:
        ids = {run.name: run.collector for run in store.last_runs().values()}
        collectors = [each.collector for each in loaded.collectors] if loaded else []
        ids |= {each.name: each.id for each in collectors}
        names = picked(ids, name, of=f"in {folder}")
        found = [run for id_ in {ids[each] for each in names} for run in store.runs(id_, limit)]
    runs = sorted(found, key=lambda run: run.started, reverse=True)[:limit]
    if as_json:
        output.json([_run_as_json(run) for run in runs])
    elif runs:
        _print_table(output, _RUNS, map(_run_cells, runs))
    have_run = {run.collector for run in found}
    for each in names:
        if ids[each] not in have_run:
            output.say(f"{each} has not run yet")
    return 0


@click.command()
@click.argument("uuid", type=click.UUID)
@json_option
@state_options
@_output
def explain(
    output: Output,
    uuid: Any,
    target: Target,
    *,
    as_json: bool,
) -> int:
    """Tell where a number comes from: collector, window, query, run, sinks.

    UUID is the `uuid` of a metric, as its receiver has it. Readings are kept for 35 days, and
    longer while a sink has not taken them.

    \b
    Example:
      signals explain f8640bb5-3e60-58f1-a7a9-8d0105299d0f
    """
    from signals_core.store import Store

    folder, _ = target.found()
    with Store.look(folder) as store:
        found = store.find(uuid)
    if not found:
        raise click.UsageError(
            f"no reading in {folder} holds the metric {uuid} (readings are kept for 35 days; what "
            "`signals config invoke` sent is in none)"
        )
    if as_json:
        output.json([_found_as_json(each) for each in found])
        return 0
    for number, each in enumerate(found):
        if number:
            output.data("")
        for key, value in _facts(each):
            first, *more = value.splitlines() or [""]
            output.data(f"{key:11}{first}")
            for line in more:
                output.data(f"{'':11}{line}".rstrip())
    return 0


_COLLECTORS = ("COLLECTOR", "STATE", "LAST RUN", "READ UNTIL", "LATE", "MISSING", "SKIPPED")
_SINKS = ("SINK", "STATE", "PENDING", "OLDEST", "DEAD LETTERS", "MISSES")
_RUNS = ("COLLECTOR", "STARTED", "WINDOW", "OUTCOME", "ROWS", "METRICS", "MS", "REASON")


def _print_status(
    output: Output,
    found: Sequence[Finding],
    lines: Sequence[OutboxLine],
    problems: Sequence[str],
) -> None:
    from signals_core.cli.findings import of_sink

    sinks = [(line, *of_sink(line)) for line in lines]
    remarks = [remark for each in found for remark in each.remarks]
    remarks += [remark for _, _, said in sinks for remark in said]
    remarks += [f"{problem}: mend it, and restart `signals run`" for problem in problems]
    _print_table(output, _COLLECTORS, map(_collector_cells, found))
    if sinks:
        output.data("")
        _print_table(output, _SINKS, (_sink_cells(line, state) for line, state, _ in sinks))
    if remarks:
        output.data("")
    for remark in remarks:
        output.data(remark)


def _collector_cells(finding: Finding) -> list[str]:
    from signals_core.cli.findings import late

    return _cells(
        finding.collector,
        finding.state,
        finding.last_run,
        finding.read_until,
        finding.late and late(finding.late),
        len(finding.missing) or None,
        finding.skipped or None,
    )


def _sink_cells(line: OutboxLine, state: str) -> list[str]:
    return _cells(
        line.sink,
        state,
        line.metrics,
        line.oldest,
        line.dead_letters or None,
        line.dropped or None,
    )


def _print_table(output: Output, headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print lines: aligned at a terminal, where the last column may be long; else with tabs."""
    if not sys.stdout.isatty():
        output.table(headers, rows)
        return
    table = [headers, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        output.data("  ".join(cells).rstrip())


def _finding_as_json(finding: Finding) -> dict[str, Any]:
    missing = finding.missing
    return {
        "collector": finding.collector,
        "state": finding.state,
        "last_run": finding.last_run and _iso(finding.last_run),
        "outcome": finding.outcome,
        "read_until": finding.read_until and _iso(finding.read_until),
        "late_seconds": finding.late and finding.late.total_seconds(),
        "missing": len(missing),
        "first_missing": str(missing[0]) if missing else None,
        "failed": [
            {
                "window": str(each.window),
                "reason": each.reason,
                "attempts": each.attempts,
                "retry_at": _iso(each.retry_at),
            }
            for each in finding.failures
        ],
        "skipped": finding.skipped,
        "remarks": list(finding.remarks),
    }


def _sinks_as_json(lines: Sequence[OutboxLine]) -> list[dict[str, Any]]:
    from signals_core.cli.findings import of_sink

    return [
        {
            "sink": line.sink,
            "state": state,
            "pending": line.metrics,
            "bytes": line.bytes,
            "oldest": line.oldest and _iso(line.oldest),
            "dead_letters": line.dead_letters,
            "misses": line.dropped,
            "suspended_since": line.suspended_since and _iso(line.suspended_since),
            "failing_since": line.failing_since and _iso(line.failing_since),
            "reason": line.reason,
            "remarks": remarks,
        }
        for line, state, remarks in ((line, *of_sink(line)) for line in lines)
    ]


def _run_as_json(run: Run) -> dict[str, Any]:
    return {
        "collector": run.name,
        "started": _iso(run.started),
        "window": str(run.window) if run.window else None,
        "outcome": run.outcome,
        "rows": run.rows,
        "metrics": run.metrics,
        "milliseconds": run.milliseconds,
        "reason": run.reason,
    }


def _run_cells(run: Run) -> list[str]:
    counts = (run.rows, run.metrics, run.milliseconds)
    return _cells(run.name, run.started, run.window, run.outcome, *counts, run.reason)


def _facts(found: Found) -> Iterator[tuple[str, str]]:
    metric, run = found.metric, found.run
    tags = ", ".join(f"{key}={text}" for key, text in metric.tags.items())
    yield "metric", f"{metric.name} {tags}".rstrip()
    yield "value", "retracted" if metric.value is None else str(metric.value)
    yield "version", _iso(metric.timestamp)
    yield "collector", run.name if run.name == run.collector else f"{run.name} (id {run.collector})"
    if found.window:
        yield "window", str(found.window)
    rows = counted(run.rows, "row")
    yield "run", f"{rows} in {run.milliseconds} ms, as {run.origin!r} in the source's log"
    yield "query", run.query or ""
    for sink, at in found.deliveries.items():
        yield "delivered", f"to {sink} at {_iso(at)}"
    for sink in found.pending:
        yield "pending", f"for {sink}"
    for sink, reason in found.dead.items():
        yield "refused", f"by {sink}: {reason}"
    for sink in found.dropped:
        yield "dropped", f"for {sink}"


def _found_as_json(found: Found) -> dict[str, Any]:
    return {
        "metric": json.loads(found.metric.encode()),
        "collector": found.run.name,
        "id": found.run.collector,
        "window": str(found.window) if found.window else None,
        "run": {**_run_as_json(found.run), "origin": found.run.origin, "query": found.run.query},
        "delivered": {sink: _iso(at) for sink, at in found.deliveries.items()},
        "pending": list(found.pending),
        "refused": dict(found.dead),
        "dropped": list(found.dropped),
    }


def _iso(moment: datetime) -> str:
    from signals_core.window import iso

    return iso(moment)


def _cells(*values: Any) -> list[str]:
    """Return what stands in a row: times to the second, nothing for None."""
    from datetime import datetime

    from signals_core.cli.findings import moment

    return [
        "" if value is None else moment(value) if isinstance(value, datetime) else str(value)
        for value in values
    ]
