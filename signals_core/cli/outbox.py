"""`signals outbox`: what is pending, orphaned or refused, and what to do about it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signals_core.cli.options import json_option
from signals_core.cli.output import Output, counted
from signals_core.cli.target import Target, state_options

if TYPE_CHECKING:
    from signals_core.store import DeadLetter, Dropped, OutboxLine

_output = click.make_pass_decorator(Output)


@click.group()
def outbox() -> None:
    """List what sinks have not taken; retry dead letters; drop what an orphan holds."""


@outbox.command("list")
@state_options
@json_option
@_output
def list_(
    output: Output,
    target: Target,
    *,
    as_json: bool,
) -> int:
    """List what is pending for each sink, dead letters, and the readings that a sink misses.

    \b
    Example:
      signals outbox list --json
    """
    from signals_core.store import Store

    folder, _ = target.found()
    with Store.look(folder) as store:
        lines, letters, dropped = store.outbox(), store.dead_letters(), store.dropped()
    if as_json:
        output.json(
            {
                "sinks": [_line_as_json(each) for each in lines],
                "dead_letters": [_letter_as_json(each) for each in letters],
                "dropped": [_dropped_as_json(each) for each in dropped],
            }
        )
        return 0
    headers = ["SINK", "PENDING", "BYTES", "OLDEST", "ORPHANED", "DEAD LETTERS", "MISSES"]
    output.table(headers, map(_cells, lines))
    if letters or dropped:
        output.data("")
    for letter in letters:
        output.data(f"refused by {letter.sink}: {letter.reason}: {letter.metric.encode().decode()}")
    for each in dropped:
        window = f" of {each.window}" if each.window else ""
        count, read_at = counted(each.metrics, "metric"), _iso(each.started)
        output.data(
            f"not kept for {each.sink}: {each.collector}, {count}{window}, read at {read_at}"
        )
    return 0


@outbox.command()
@click.argument("sink")
@state_options
@_output
def retry(
    output: Output,
    sink: str,
    target: Target,
) -> int:
    """Put a sink's dead letters back into its outbox.

    Beside a live daemon, the daemon does it.

    \b
    Example:
      signals outbox retry lake
    """
    from signals_core.cli.requests import carried_out

    folder, _ = target.found()
    _line_of(folder, sink)
    done = carried_out(folder, "retry", {"sink": sink})
    output.say(f"pending for {sink} again: {counted(done['retried'], 'metric')}")
    if done["outdated"]:
        count = counted(done["outdated"], "metric")
        output.say(f"thrown away: {count} of windows of which {sink} has a later reading")
    return 0


@outbox.command()
@click.argument("sink")
@state_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@_output
def drop(
    output: Output,
    sink: str,
    target: Target,
    *,
    yes: bool,
) -> int:
    """End what is pending for a sink that is no longer configured.

    \b
    Example:
      signals outbox drop old-lake --yes
    """
    from signals_core.cli.requests import carried_out

    folder, _ = target.found()
    line = _line_of(folder, sink)
    if line.metrics and not line.orphaned:
        raise click.UsageError(
            f"{sink} is configured, and gets what is pending for it (to end that, take it out of "
            "the configuration and restart `signals run` first)"
        )
    if line.metrics and not yes:
        count = counted(line.metrics, "metric")
        question = f"Pending for {sink}, which will never get them: {count}. Drop?"
        click.confirm(question, abort=True, err=True)
    done = carried_out(folder, "drop", {"sink": sink})
    output.say(f"dropped for {sink}: {counted(done['dropped'], 'metric')}")
    return 0


def _line_of(folder: Path, sink: str) -> OutboxLine:
    """Return the line of a sink. Raises `UsageError` when it was never heard of."""
    from signals_core.store import Store

    with Store.look(folder) as store:
        lines = {line.sink: line for line in store.outbox()}
    if sink not in lines:
        raise click.UsageError(
            f"there is no sink {sink!r}; there are: {', '.join(lines) or 'none'}"
        )
    return lines[sink]


def _cells(line: OutboxLine) -> list[str]:
    return [
        line.sink,
        str(line.metrics),
        str(line.bytes),
        _iso(line.oldest) if line.oldest else "",
        "yes" if line.orphaned else "",
        str(line.dead_letters),
        str(line.dropped),
    ]


def _line_as_json(line: OutboxLine) -> dict[str, Any]:
    from attrs import asdict

    return {
        key: _iso(value) if isinstance(value, datetime) else value
        for key, value in asdict(line).items()
    }


def _letter_as_json(letter: DeadLetter) -> dict[str, Any]:
    return {
        "sink": letter.sink,
        "collector": letter.collector,
        "reason": letter.reason,
        "at": _iso(letter.at),
        "metric": json.loads(letter.metric.encode()),
    }


def _dropped_as_json(dropped: Dropped) -> dict[str, Any]:
    return {
        "sink": dropped.sink,
        "collector": dropped.collector,
        "window": str(dropped.window) if dropped.window else None,
        "started": _iso(dropped.started),
        "metrics": dropped.metrics,
        "at": _iso(dropped.at),
    }


def _iso(moment: datetime) -> str:
    from signals_core.window import iso

    return iso(moment)
