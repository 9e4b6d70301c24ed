"""`signals outbox`: what is pending, orphaned or refused, and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from signals_core.cli.choice import picked
from signals_core.cli.groups import Group
from signals_core.cli.options import json_option
from signals_core.cli.output import Output
from signals_core.cli.target import Target, state_options
from signals_core.phrases import counted

if TYPE_CHECKING:
    from signals_core.store import DeadLetter, Dropped, OutboxLine

_output = click.make_pass_decorator(Output)


@click.group(cls=Group)
def outbox() -> None:
    """List what sinks have not taken; retry dead letters; drop what nobody will take.

    What was read is pending in the outbox until every sink has it. A metric that a sink refuses for
    good is a dead letter: kept, and tried again when you say so.

    \b
    Examples:
      signals outbox list
      signals outbox retry lake
    """


@outbox.command("list")
@click.argument("sink", required=False)
@json_option
@state_options
@_output
def list_(output: Output, sink: str | None, target: Target, *, as_json: bool) -> int:
    """List what is pending, dead letters, and what a sink misses.

    Without SINK it is all sinks; SINK may be a pattern such as 'lake*'.

    \b
    Examples:
      signals outbox list
      signals outbox list lake --json
    """
    from signals_core.store import Store

    folder, _ = target.found()
    with Store.look(folder) as store:
        lines, letters, dropped = store.outbox(), store.dead_letters(), store.dropped()
    if sink is not None:
        chosen = {line.sink for line in _chosen(lines, sink)}
        lines = [line for line in lines if line.sink in chosen]
        letters = [letter for letter in letters if letter.sink in chosen]
        dropped = [each for each in dropped if each.sink in chosen]
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
@click.argument("sink", required=False)
@state_options
@_output
def retry(output: Output, sink: str | None, target: Target) -> int:
    """Put a sink's dead letters back into its outbox.

    Do this once the sink would take them. Where `signals run` is running, it delivers them; else
    the next one does. SINK may be a pattern such as 'lake*'.

    \b
    Examples:
      signals outbox retry lake
      signals outbox retry '*'
    """
    from signals_core.cli.requests import carried_out

    folder, _ = target.found()
    for line in _lines_of(folder, sink):
        done = carried_out(folder, "retry", {"sink": line.sink})
        output.say(f"pending for {line.sink} again: {counted(done['retried'], 'metric')}")
        if done["outdated"]:
            count = counted(done["outdated"], "metric")
            output.say(f"thrown away: {count} of windows of which {line.sink} has a later reading")
    return 0


@outbox.command()
@click.argument("sink", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@state_options
@_output
def drop(output: Output, sink: str | None, target: Target, *, yes: bool) -> int:
    """End what is pending for a sink that is no longer configured.

    It will not get these metrics: they stay listed by `signals outbox list`. SINK may be a pattern
    such as 'old*'.

    \b
    Example:
      signals outbox drop old-lake --yes
    """
    from signals_core.cli.requests import carried_out

    folder, _ = target.found()
    lines = _lines_of(folder, sink)
    if configured := [line.sink for line in lines if line.metrics and not line.orphaned]:
        raise click.UsageError(
            f"configured, and getting what is pending: {', '.join(configured)} (to end that, take "
            "it out of the configuration and send SIGHUP to `signals run` first)"
        )
    if (pending := sum(line.metrics for line in lines)) and not yes:
        names, count = ", ".join(line.sink for line in lines), counted(pending, "metric")
        question = f"Pending for {names}, which will never get them: {count}. Drop?"
        click.confirm(question, abort=True, err=True)
    for line in lines:
        done = carried_out(folder, "drop", {"sink": line.sink})
        output.say(f"dropped for {line.sink}: {counted(done['dropped'], 'metric')}")
    return 0


def _lines_of(folder: Path, pattern: str | None) -> list[OutboxLine]:
    """Return the lines of the sinks that a pattern picks. Raises `UsageError` for none."""
    from signals_core.store import Store

    with Store.look(folder) as store:
        return _chosen(store.outbox(), pattern)


def _chosen(lines: Sequence[OutboxLine], pattern: str | None) -> list[OutboxLine]:
    names = picked({line.sink: line.sink for line in lines}, pattern, "sink", "in the outbox")
    return [line for line in lines if line.sink in names]


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
