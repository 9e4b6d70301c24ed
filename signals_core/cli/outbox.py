"""`signals outbox`: what is pending, orphaned or refused, and what to do about it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from signals_core.cli.options import json_option, project_options
from signals_core.cli.output import Output
from signals_core.cli.state import found_state_dir, state_option

_output = click.make_pass_decorator(Output)


@click.group()
def outbox() -> None:
    """List what sinks have not taken; retry dead letters; drop what an orphan holds."""


@outbox.command("list")
@project_options
@state_option
@json_option
@_output
def list_(
    output: Output,
    configs: tuple[Path, ...],
    project: Path | None,
    state_dir: Path | None,
    *,
    as_json: bool,
) -> int:
    """List pending metrics, orphaned sinks and dead letters.

    \b
    Example:
      signals outbox list --json
    """
    from attrs import asdict

    from signals_core.store import Store
    from signals_core.window import iso

    folder, _ = found_state_dir(state_dir, configs, project)
    with Store.look(folder) as store:
        lines, letters = store.outbox(), store.dead_letters()
    if as_json:
        sinks = [
            {
                key: iso(value) if hasattr(value, "isoformat") else value
                for key, value in each.items()
            }
            for each in map(asdict, lines)
        ]
        dead = [
            {"sink": each.sink, "reason": each.reason, "metric": each.metric.encode().decode()}
            for each in letters
        ]
        output.json({"sinks": sinks, "dead_letters": dead})
        return 0
    output.table(
        ["SINK", "PENDING", "BYTES", "OLDEST", "ORPHANED", "DEAD LETTERS"],
        [
            [
                each.sink,
                str(each.metrics),
                str(each.bytes),
                iso(each.oldest) if each.oldest else "",
                "yes" if each.orphaned else "",
                str(each.dead_letters),
            ]
            for each in lines
        ],
    )
    for each in letters:
        line = each.metric.encode().decode()
        output.data(f"dead letter of {each.sink}: {each.reason}: {line}")
    return 0


def _plain(_owner: Any, _attribute: Any, value: Any) -> Any:
    from signals_core.window import iso

    return iso(value) if isinstance(value, datetime) else value


@outbox.command()
@click.argument("sink")
@project_options
@state_option
@_output
def retry(
    output: Output,
    sink: str,
    configs: tuple[Path, ...],
    project: Path | None,
    state_dir: Path | None,
) -> int:
    """Put a sink's dead letters back into its outbox.

    Beside a live daemon, the daemon does it.

    \b
    Example:
      signals outbox retry lake
    """
    from signals_core.cli.requests import carried_out

    folder, _ = found_state_dir(state_dir, configs, project)
    done = carried_out(folder, "retry", {"sink": sink})
    output.say(f"{done['retried']} metrics of {sink} are pending again")
    if done["outdated"]:
        output.say(f"{done['outdated']} were dropped: {sink} has a later reading of their window")
    return 0


@outbox.command()
@click.argument("sink")
@project_options
@state_option
@click.confirmation_option(prompt="What is dropped is gone. Drop it?")
@_output
def drop(
    output: Output,
    sink: str,
    configs: tuple[Path, ...],
    project: Path | None,
    state_dir: Path | None,
) -> int:
    """End what is pending for a sink that is no longer configured.

    \b
    Example:
      signals outbox drop old-lake --yes
    """
    from signals_core.cli.requests import carried_out

    folder, _ = found_state_dir(state_dir, configs, project)
    done = carried_out(folder, "drop", {"sink": sink})
    output.say(f"{done['dropped']} metrics of {sink} were dropped")
    return 0
