"""`signals history`: what happened to collectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from signals_core.cli.cells import cells, iso, print_table
from signals_core.cli.options import complete_names, json_option
from signals_core.cli.output import Output
from signals_core.cli.target import Target, state_options

if TYPE_CHECKING:
    from signals_core.store import Run

_RUNS = ("COLLECTOR", "STARTED", "WINDOW", "OUTCOME", "ROWS", "METRICS", "MS", "REASON")


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
@click.make_pass_decorator(Output)
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
        output.json([run_as_json(run) for run in runs])
    elif runs:
        print_table(output, _RUNS, map(_run_cells, runs))
    have_run = {run.collector for run in found}
    for each in names:
        if ids[each] not in have_run:
            output.say(f"{each} has not run yet")
    return 0


def run_as_json(run: Run) -> dict[str, Any]:
    """Return a run as JSON can hold it."""
    return {
        "collector": run.name,
        "started": iso(run.started),
        "window": str(run.window) if run.window else None,
        "outcome": run.outcome,
        "rows": run.rows,
        "metrics": run.metrics,
        "milliseconds": run.milliseconds,
        "reason": run.reason,
    }


def _run_cells(run: Run) -> list[str]:
    counts = (run.rows, run.metrics, run.milliseconds)
    return cells(run.name, run.started, run.window, run.outcome, *counts, run.reason)
