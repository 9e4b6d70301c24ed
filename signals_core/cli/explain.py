"""`signals explain`: where a number comes from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from signals_core.cli.cells import iso
from signals_core.cli.history import run_as_json
from signals_core.cli.options import json_option
from signals_core.cli.output import Output
from signals_core.cli.target import Target, state_options

if TYPE_CHECKING:
    from signals_core.store import Found


@click.command()
@click.argument("uuid", type=click.UUID)
@json_option
@state_options
@click.make_pass_decorator(Output)
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
    from signals_core.origins import of_number
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
        for key, value in of_number(each):
            first, *more = value.splitlines() or [""]
            output.data(f"{key:11}{first}")
            for line in more:
                output.data(f"{'':11}{line}".rstrip())
    return 0


def _found_as_json(found: Found) -> dict[str, Any]:
    return {
        "metric": json.loads(found.metric.encode()),
        "collector": found.run.name,
        "id": found.run.collector,
        "window": str(found.window) if found.window else None,
        "run": {**run_as_json(found.run), "origin": found.run.origin, "query": found.run.query},
        "delivered": {sink: iso(at) for sink, at in found.deliveries.items()},
        "pending": list(found.pending),
        "refused": dict(found.dead),
        "dropped": list(found.dropped),
    }
