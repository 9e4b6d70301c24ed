"""`signals status`, `history` and `explain`: what the state directory tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signals_core.cli.options import complete_names, json_option, project_options
from signals_core.cli.output import Output
from signals_core.cli.state import found_state_dir, state_option

if TYPE_CHECKING:
    from signals_core.store import Found, Run, Store

_output = click.make_pass_decorator(Output)


@click.command()
@project_options
@state_option
@json_option
@_output
def status(
    output: Output,
    configs: tuple[Path, ...],
    project: Path | None,
    state_dir: Path | None,
    *,
    as_json: bool,
) -> int:
    """Show what is late and why: collectors, then sinks.

    \b
    Example:
      signals status --state-dir /var/lib/signals
    """
    from signals_core.store import Store

    folder, loaded = found_state_dir(state_dir, configs, project)
    with Store.look(folder) as store:
        collectors = list(_collector_rows(store, loaded))
        sinks = [_sink_row(line) for line in store.outbox()]
    is_project = loaded is not None and (loaded.project_file is not None or bool(configs))
    invalid = [str(problem) for problem in loaded.problems] if loaded and is_project else []
    if as_json:
        output.json({"collectors": collectors, "sinks": sinks, "invalid": invalid})
        return 0
    output.table(
        [
            "COLLECTOR",
            "LAST RUN",
            "OUTCOME",
            "COVERED UNTIL",
            "LATE",
            "FAILED",
            "SKIPPED",
            "REASON",
        ],
        [[_cell(value) for value in row.values()] for row in collectors],
    )
    if sinks:
        output.table(
            ["SINK", "PENDING", "BYTES", "OLDEST", "DEAD LETTERS", "STATE", "REASON"],
            [[_cell(value) for value in row.values()] for row in sinks],
        )
    for line in invalid:
        output.data(f"left out: {line}")
    return 0


@click.command()
@click.argument("name", shell_complete=complete_names)
@project_options
@state_option
@json_option
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@_output
def history(
    output: Output,
    name: str,
    configs: tuple[Path, ...],
    project: Path | None,
    state_dir: Path | None,
    limit: int,
    *,
    as_json: bool,
) -> int:
    """Show what happened to a collector, newest first. NAME is its name or its id.

    \b
    Example:
      signals history shop.orders.1d --limit 10
    """
    from signals_core.store import Store

    folder, _ = found_state_dir(state_dir, configs, project)
    with Store.look(folder) as store:
        ids = {run.name: run.collector for run in store.last_runs().values()}
        runs = store.runs(ids.get(name, name), limit)
    if not runs:
        known = "".join(f"\n  {each}" for each in sorted(ids))
        raise click.UsageError(f"nothing is known of {name!r}; there are runs of:{known}")
    rows = [_run_row(run) for run in runs]
    if as_json:
        output.json(rows)
    else:
        headers = ["STARTED", "WINDOW", "OUTCOME", "ROWS", "METRICS", "MS", "REASON"]
        output.table(headers, [[_cell(value) for value in row.values()] for row in rows])
    return 0


@click.command()
@click.argument("uuid", type=click.UUID)
@project_options
@state_option
@json_option
@_output
def explain(
    output: Output,
    uuid: Any,
    configs: tuple[Path, ...],
    project: Path | None,
    state_dir: Path | None,
    *,
    as_json: bool,
) -> int:
    """Tell where a number comes from: collector, window, query, run, and when each sink took it.

    \b
    Example:
      signals explain f8640bb5-3e60-58f1-a7a9-8d0105299d0f
    """
    from signals_core.store import Store

    folder, _ = found_state_dir(state_dir, configs, project)
    with Store.look(folder) as store:
        found = store.find(uuid)
    if not found:
        raise click.UsageError(f"no retained reading holds the metric {uuid}")
    if as_json:
        output.json([dict(_facts(each)) for each in found])
        return 0
    for each in found:
        for key, value in _facts(each):
            lines = str(value).splitlines() or [""]
            output.data(f"{key:12}{lines[0]}")
            for line in lines[1:]:
                output.data(f"{'':12}{line}")
        output.data("")
    return 0


def _collector_rows(store: Store, loaded: Any) -> Iterator[dict[str, Any]]:
    from datetime import UTC, datetime

    runs = store.last_runs()
    collectors = {each.collector.id: each.collector for each in loaded.collectors} if loaded else {}
    for key in dict.fromkeys((*collectors, *runs)):
        collector, run = collectors.get(key), runs.get(key)
        row: dict[str, Any] = {
            "collector": collector.name if collector else run.name if run else key,
            "last_run": _iso(run.started) if run else None,
            "outcome": run.outcome if run else None,
            "covered_until": None,
            "late": None,
            "failed": None,
            "skipped": None,
            "reason": run.reason if run else None,
        }
        if collector is not None and collector.window is not None:
            row.update(_coverage_facts(store, collector, datetime.now(UTC)))
        yield row


def _coverage_facts(store: Store, collector: Any, now: Any) -> dict[str, Any]:
    from signals_core.daemon import key_of
    from signals_core.duration import format_duration

    coverage = store.coverage(key_of(collector))
    if coverage is None or not coverage.covered:
        return {"failed": len(coverage.failures) if coverage else 0}
    end = coverage.covered.spans[-1][1]
    late = now - collector.window.grace - end
    missing = next(coverage.missing(collector.buckets, collector.window, now), None)
    facts: dict[str, Any] = {"covered_until": _iso(end), "failed": len(coverage.failures)}
    facts["late"] = format_duration(_whole_seconds(late)) if missing else None
    facts["skipped"] = len(coverage.skipped.spans) or None
    if coverage.failures:
        first = min(coverage.failures.values(), key=lambda each: each.window.start)
        facts["reason"] = f"{first.window}: {first.reason}"
    return facts


def _whole_seconds(duration: Any) -> Any:
    from datetime import timedelta

    return timedelta(seconds=int(duration.total_seconds()))


def _sink_row(line: Any) -> dict[str, Any]:
    state = "orphaned" if line.orphaned else "ok"
    if line.failing_since:
        state = f"failing since {_iso(line.failing_since)}"
    if line.suspended_since:
        state = f"suspended since {_iso(line.suspended_since)}"
    return {
        "sink": line.sink,
        "pending": line.metrics,
        "bytes": line.bytes,
        "oldest": _iso(line.oldest) if line.oldest else None,
        "dead_letters": line.dead_letters,
        "state": state,
        "reason": line.reason,
    }


def _run_row(run: Run) -> dict[str, Any]:
    return {
        "started": _iso(run.started),
        "window": str(run.window) if run.window else None,
        "outcome": run.outcome,
        "rows": run.rows,
        "metrics": run.metrics,
        "milliseconds": run.milliseconds,
        "reason": run.reason,
    }


def _facts(found: Found) -> Iterator[tuple[str, Any]]:
    metric, run = found.metric, found.run
    tags = ", ".join(f"{key}={text}" for key, text in metric.tags.items()) or "none"
    yield "metric", f"{metric.name} {tags}"
    yield "value", "retracted" if metric.value is None else str(metric.value)
    yield "version", _iso(metric.timestamp)
    yield "collector", run.name if run.name == run.collector else f"{run.name} (id {run.collector})"
    yield "window", str(found.window) if found.window else "none"
    yield "run", f"{run.origin}: {run.rows} rows in {run.milliseconds} ms"
    yield "query", run.query or ""
    for sink, at in found.deliveries.items():
        yield "delivered", f"{sink} at {_iso(at)}"
    for sink in found.pending:
        yield "pending", sink
    for sink, reason in found.dead.items():
        yield "refused", f"{sink}: {reason}"
    for sink in found.dropped:
        yield "dropped", sink


def _iso(moment: Any) -> str:
    from signals_core.window import iso

    return iso(moment)


def _cell(value: Any) -> str:
    return "" if value is None else str(value)
